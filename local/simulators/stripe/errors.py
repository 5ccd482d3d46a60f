"""Stripe's errors: type, code, message and parameter in its own shape and with its own status."""

from typing import Any

_DOC = "https://stripe.com/docs/error-codes/"


class StripeError(Exception):
    """An error answer. `keeps_effects` says whether what the call did so far stays: a decline does, the rest not."""

    def __init__(
        self, status: int, type_: str, message: str, *, code: str | None = None, param: str | None = None, **more: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, Any] = {"type": type_, "message": message}
        if code:
            self.error |= {"code": code, "doc_url": _DOC + code.replace("_", "-")}
        if param:
            self.error["param"] = param
        self.error |= more
        self.keeps_effects = status == 402

    def undone(self) -> "StripeError":
        """The same error, of a call that leaves nothing behind."""
        self.keeps_effects = False
        return self


def missing(kind: str, id_: str, param: str = "id") -> StripeError:
    """No object with that id."""
    text = f"No such {kind.replace('_', ' ')}: '{id_}'"
    return StripeError(404, "invalid_request_error", text, code="resource_missing", param=param)


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    """A request that cannot be carried out as it stands."""
    return StripeError(400, "invalid_request_error", message, code=code, param=param)


def parameter_missing(param: str) -> StripeError:
    """A parameter the operation cannot do without."""
    return invalid(f"Missing required param: {param}.", param, "parameter_missing")


def declined(code: str, decline_code: str | None, message: str, **more: Any) -> StripeError:
    """The card was refused; `more` carries the payment or setup intent as it now stands."""
    extra = {"decline_code": decline_code} if decline_code else {}
    return StripeError(402, "card_error", message, code=code, **extra, **more)
