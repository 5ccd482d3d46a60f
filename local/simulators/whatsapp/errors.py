"""The Graph API's error answers."""

from dataclasses import dataclass

from local.simulators.common import Answer


@dataclass(frozen=True)
class GraphError(Exception):
    """A refusal: HTTP status, the code that says why, and Meta's words."""

    status: int
    code: int
    title: str
    details: str = ""

    def answer(self) -> Answer:
        error: dict[str, object] = {
            "message": f"(#{self.code}) {self.title}",
            "type": "OAuthException",
            "code": self.code,
            "fbtrace_id": "ASimulatedTrace",
        }
        if self.details:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        return Answer(self.status, {"error": error})


def unauthorised() -> GraphError:
    """No token, or a wrong one."""
    return GraphError(401, 190, "Authentication Error")


def unknown_path(path: str) -> GraphError:
    """An endpoint nobody knows."""
    return GraphError(400, 100, f"Unknown path components: {path}")


def bad_parameter(details: str) -> GraphError:
    """A request that leaves the documented shape."""
    return GraphError(400, 100, "Invalid parameter", details)


def rate_limited() -> GraphError:
    """More than the number may send."""
    return GraphError(429, 130429, "Rate limit hit")


def unknown_template(name: str, language: str) -> GraphError:
    """A template nobody approved, or not in this language."""
    return GraphError(404, 132001, "Template does not exist in the translation", f"{name} in {language}")


def wrong_parameters(wanted: int, given: int) -> GraphError:
    """A template that takes another number of parameters."""
    return GraphError(400, 132000, "Template Param Count Mismatch", f"body takes {wanted}, {given} were given")
