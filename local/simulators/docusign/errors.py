"""DocuSign's error answers: `errorCode` and `message` from the API, `error` and `error_description` from OAuth."""

from dataclasses import dataclass

from local.simulators.common import Answer


@dataclass(frozen=True)
class DocusignError(Exception):
    """A refusal of the API: HTTP status, the code that says why, words for a person."""

    status: int
    code: str
    message: str

    def answer(self) -> Answer:
        return Answer(self.status, {"errorCode": self.code, "message": self.message})


@dataclass(frozen=True)
class GrantError(Exception):
    """A refusal of the authorisation server."""

    error: str
    description: str = ""
    status: int = 400

    def answer(self) -> Answer:
        body = {"error": self.error}
        if self.description:
            body["error_description"] = self.description
        return Answer(self.status, body)


def no_token() -> DocusignError:
    """A request without a bearer token."""
    return DocusignError(
        401, "USER_AUTHENTICATION_FAILED", "One or both of Username and Password are invalid. Invalid access token"
    )


def invalid_token() -> DocusignError:
    """A token that nobody issued, or that is over."""
    return DocusignError(
        401, "AUTHORIZATION_INVALID_TOKEN", "The access token provided is expired, revoked or malformed."
    )


def other_account() -> DocusignError:
    """An account the user has no part in."""
    return DocusignError(
        400, "USER_DOES_NOT_BELONG_TO_SPECIFIED_ACCOUNT", "The specified User is not a member of the specified Account."
    )


def unknown_envelope() -> DocusignError:
    """An envelope of nobody, or of another."""
    return DocusignError(
        404, "ENVELOPE_DOES_NOT_EXIST", "The envelope specified either does not exist or you have no rights to it."
    )


def unknown_document() -> DocusignError:
    """A document the envelope does not have."""
    return DocusignError(404, "DOCUMENT_DOES_NOT_EXIST", "The document specified was not found.")


def unknown_path(path: str) -> DocusignError:
    """A resource DocuSign does not have."""
    return DocusignError(404, "INVALID_REQUEST_PARAMETER", f"The URL provided does not resolve to a resource. {path}")


def bad_parameter(detail: str) -> DocusignError:
    """A parameter or field that cannot be."""
    return DocusignError(
        400, "INVALID_REQUEST_PARAMETER", f"The request contained at least one invalid parameter. {detail}"
    )


def bad_body(detail: str) -> DocusignError:
    """A body that is not what the operation takes."""
    return DocusignError(
        400, "INVALID_REQUEST_BODY", f"The request body is missing or improperly formatted. {detail}".rstrip()
    )


def cannot_void() -> DocusignError:
    """Voiding what is over, or was never sent."""
    return DocusignError(
        400,
        "ENVELOPE_CANNOT_VOID_INVALID_STATE",
        "Only envelopes in the 'Sent' or 'Delivered' states may be voided.",
    )


def hourly_limit(status: int = 429) -> DocusignError:
    """More calls than the account has in an hour. DocuSign has sent it with 400 as well as with 429."""
    return DocusignError(
        status, "HOURLY_APIINVOCATION_LIMIT_EXCEEDED", "The maximum number of hourly API invocations has been exceeded."
    )


def burst_limit() -> DocusignError:
    """More calls than the account has in thirty seconds."""
    return DocusignError(
        429, "BURST_APIINVOCATION_LIMIT_EXCEEDED", "The maximum number of burst API invocations has been exceeded."
    )
