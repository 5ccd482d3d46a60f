"""What is known after a call to Stripe went wrong, by what kind of call it was.

Sources: https://docs.stripe.com/api/idempotent_requests (a key's first answer is saved, 500s included, and replayed for
24 hours; a request that was refused before it began is not saved), https://docs.stripe.com/error-low-level.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import stripe

from revops.kernel import Unavailable
from revops.orders.ports import OutcomeUnknown, ProvisioningRefused, SavedFailure


@contextmanager
def reading() -> Iterator[None]:
    """A read has no outcome to lose: it is answered, refused, or asked again later."""
    try:
        yield
    except stripe.StripeError as error:
        if _is_refusal(error):
            raise _refused(error) from error
        raise Unavailable("Stripe did not answer") from error


@contextmanager
def writing() -> Iterator[None]:
    """A write that may be repeated as it is: what went wrong with it is refused, or tried again."""
    try:
        with creating():
            yield
    except (OutcomeUnknown, SavedFailure) as error:
        raise Unavailable("Stripe did not tell whether it was done") from error


@contextmanager
def creating() -> Iterator[None]:
    """What is known after a create went wrong, by kind of failure."""
    try:
        yield
    except stripe.StripeError as error:
        status = error.http_status or 0
        if isinstance(error, stripe.RateLimitError) or status in {401, 403, 429}:
            raise Unavailable("Stripe takes no requests from us just now") from error
        if isinstance(error, stripe.IdempotencyError) and status == 400:
            # the key stands for other parameters, which an older release sent: look, then take the next key
            raise SavedFailure("this key was used for another request") from error
        if status >= 500 and _header(error, "idempotent-replayed") == "true":
            raise SavedFailure("Stripe replays the failure it saved for this key") from error
        if _is_refusal(error):
            raise _refused(error) from error
        raise OutcomeUnknown("Stripe did not tell whether it was done") from error


def _is_refusal(error: stripe.StripeError) -> bool:
    """Understood and declined. Not among these: another call with the same key is under way (409)."""
    return 400 <= (error.http_status or 0) < 500 and error.http_status not in {401, 403, 409, 429}


def _refused(error: stripe.StripeError) -> ProvisioningRefused:
    return ProvisioningRefused(f"Stripe refused: {error.user_message or 'no reason given'}", {"code": error.code or ""})


def _header(error: stripe.StripeError, name: str) -> str:
    return next((value for key, value in (error.headers or {}).items() if key.lower() == name), "").lower()


def tag(metadata: object, name: str) -> str:
    """A metadata value; the SDK shows metadata as attributes."""
    return str(getattr(metadata, name, "") or "")
