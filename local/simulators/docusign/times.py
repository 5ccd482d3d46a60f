"""Times as DocuSign writes and reads them."""

from datetime import UTC, datetime

from local.simulators.docusign.errors import bad_parameter


def written(moment: float) -> str:
    """Seconds since the epoch as ISO 8601 with seven digits of a second."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def read(name: str, text: str) -> float:
    """Seconds since the epoch of an ISO 8601 parameter; without a zone it is UTC. Raises DocusignError."""
    whole, dot, fraction = text.partition(".")
    digits = fraction[: len(fraction) - len(fraction.lstrip("0123456789"))]
    try:
        moment = datetime.fromisoformat(whole + dot + digits[:6] + fraction[len(digits) :])
    except ValueError as error:
        raise bad_parameter(f"Query parameter '{name}' must be set to a valid DateTime.") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
