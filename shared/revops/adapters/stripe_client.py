"""One way to talk to Stripe: pinned API version, short timeouts, few retries, and our own errors.

`stripe` is imported when a client is first needed, so that whoever only verifies webhooks never pays for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from revops.billing.ports import StripeRefused
from revops.kernel import Unavailable

if TYPE_CHECKING:
    from stripe import StripeClient, StripeError

API_VERSION: Final = "2026-10-28.endive"
_TIMEOUTS: Final = (2.0, 8.0)
_TRY_AGAIN: Final = frozenset({401, 403, 408, 409, 424, 425, 429})
"""Answers after which the same request may succeed: limits, a lock on the object, a key that is being rotated."""


def stripe_client(api_key: str, base: str = "", *, retries: int = 1) -> "StripeClient":
    """A client for one account. `base` overrides the address of the API (the simulator's, for one)."""
    import stripe

    return stripe.StripeClient(
        api_key,
        stripe_version=API_VERSION,
        base_addresses={"api": base, "files": base, "connect": base, "meter_events": base} if base else {},
        max_network_retries=retries,
        http_client=stripe.RequestsClient(timeout=_TIMEOUTS),
    )


@contextmanager
def stripe_errors() -> Iterator[None]:
    """Turns what Stripe's library raises into Unavailable or StripeRefused."""
    import stripe

    try:
        yield
    except stripe.APIConnectionError as error:
        raise Unavailable("Stripe did not answer") from error
    except stripe.StripeError as error:
        raise _ours(error) from error


def _ours(error: "StripeError") -> Unavailable | StripeRefused:
    status = error.http_status or 500
    code = error.code or ""
    if status >= 500 or status in _TRY_AGAIN:
        return Unavailable(f"Stripe answered {status} {code}".rstrip(), _retry_after(error))
    return StripeRefused(f"Stripe answered {status} {code}: {error.user_message}"[:500], code)


def _retry_after(error: "StripeError") -> float | None:
    text = (error.headers or {}).get("retry-after", "")
    try:
        return max(0.0, min(float(text), 900.0))
    except ValueError:
        return None
