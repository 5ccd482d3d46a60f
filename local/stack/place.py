"""Where a local stack keeps its things, which ports it has, and the random values it made once."""

import hashlib
import json
import os
import secrets
import socket
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

PROJECT = Path(__file__).resolve().parents[2]

# First choice of ports: the user's stack, and the one the tests start for themselves.
_NAMES = ("emulator", "stripe", "hubspot", "mail", "whatsapp", "twilio", "docusign", "adobe_sign")
FIRST_PORTS = {name: 4610 + offset for offset, name in enumerate(_NAMES)}
FIRST_TEST_PORTS = {name: port + 20 for name, port in FIRST_PORTS.items()}

# A fixed id, so that the API's address is known before it is deployed.
API_ID = "1ead2ca5"
REGION = "eu-west-2"
STAGE = "local"
STACK_NAME = f"revops-{STAGE}"


class UserEntry(TypedDict):
    """One demo user of stack.json; `id` is the subject of their tokens."""

    id: str
    role: str
    team: str
    email: str
    password: str


class StackFile(TypedDict, total=False):
    """`stack.json`: all that an outside program needs to drive the stack."""

    api_url: str
    region: str
    endpoint_url: str
    table_name: str
    bus_name: str
    user_pool_id: str
    client_id: str
    users: dict[str, UserEntry]
    tokens: dict[str, str]
    partner_api_key: str
    usage_api_key: str
    stripe: dict[str, str | None]
    hubspot: dict[str, str | None]
    whatsapp: dict[str, str | None]
    twilio: dict[str, str | None]
    docusign: dict[str, str | None]
    adobe_sign: dict[str, str | None]
    mail: dict[str, str | None]
    resources: dict[str, str]


@dataclass(frozen=True)
class Place:
    """One local stack: its folder of run state. Two stacks in two folders do not meet."""

    state: Path
    for_tests: bool = False

    @classmethod
    def of_user(cls) -> "Place":
        """The stack of `make up`."""
        return cls(PROJECT / ".local")

    @classmethod
    def of_tests(cls) -> "Place":
        """The stack `make test` starts beside it and stops afterwards. REVOPS_TEST_STACK names another folder for it
        under .local, with free ports of its own, for a second run beside the first."""
        return cls(PROJECT / ".local" / os.environ.get("REVOPS_TEST_STACK", "test"), for_tests=True)

    @property
    def stack_json(self) -> Path:
        return self.state / "stack.json"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    def read(self, name: str) -> dict[str, Any]:
        """The JSON object kept under `name`, empty if there is none."""
        path = self.state / name
        if not path.exists():
            return {}
        content: dict[str, Any] = json.loads(path.read_text())
        return content

    def write(self, name: str, content: Any, *, private: bool = False) -> None:
        """Replaces what is kept under `name`; `private` files are the owner's alone."""
        path = self.state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".new")
        draft.touch(mode=0o600 if private else 0o644)
        draft.write_text(json.dumps(content, indent=1, sort_keys=False) + "\n")
        draft.replace(path)

    def forget(self, name: str) -> None:
        (self.state / name).unlink(missing_ok=True)

    def ports(self) -> dict[str, int]:
        """Ports of this stack: chosen once, remembered; REVOPS_PORT moves the block before the first `up`."""
        known: dict[str, int] = self.read("ports.json")
        first = FIRST_TEST_PORTS if self.for_tests else FIRST_PORTS
        base = os.environ.get("REVOPS_PORT")
        if base and not known and not self.for_tests:
            first = {name: int(base) + offset for offset, name in enumerate(FIRST_PORTS)}
        missing = {name: wanted for name, wanted in first.items() if name not in known}
        if missing:
            taken = set(known.values())
            for name, wanted in missing.items():
                known[name] = wanted if wanted not in taken and _is_free(wanted) else _free_port(taken)
                taken.add(known[name])
            self.write("ports.json", known)
        return known

    def remembered(self, name: str) -> str:
        """A random value made at its first use and kept from then on (keys, passwords; never in the project)."""
        values = self.read("credentials.json")
        if name not in values:
            alphabet = string.ascii_letters + string.digits
            values[name] = "".join(secrets.choice(alphabet) for _ in range(28)) + "aA7"
            self.write("credentials.json", values, private=True)
        value: str = values[name]
        return value

    def settings(self) -> dict[str, str]:
        """The user's `.env` over the environment; the tests' stack reads neither."""
        if self.for_tests:
            return {}
        names = (
            "STRIPE_API_KEY",
            "STRIPE_WEBHOOK_SECRET",
            "HUBSPOT_TOKEN",
            "HUBSPOT_CLIENT_SECRET",
            "HUBSPOT_PORTAL_ID",
            "WHATSAPP_ACCESS_TOKEN",
            "WHATSAPP_APP_SECRET",
            "WHATSAPP_VERIFY_TOKEN",
            "WHATSAPP_NUMBER_ID",
            "WHATSAPP_ACCOUNT",
            "TWILIO_AUTH_TOKEN",
            "TWILIO_ACCOUNT_SID",
            "DOCUSIGN_INTEGRATION_KEY",
            "DOCUSIGN_USER_ID",
            "DOCUSIGN_ACCOUNT_ID",
            "DOCUSIGN_HMAC_KEY",
            "DOCUSIGN_BASE_URL",
            "DOCUSIGN_OAUTH_URL",
            "ADOBE_SIGN_CLIENT_ID",
            "ADOBE_SIGN_CLIENT_SECRET",
            "ADOBE_SIGN_REFRESH_TOKEN",
            "ADOBE_SIGN_BASE_URL",
        )
        found = {name: os.environ[name] for name in names if os.environ.get(name)}
        path = PROJECT / ".env"
        for line in path.read_text().splitlines() if path.exists() else []:
            name, separator, value = line.partition("=")
            if separator and name.strip() in names and value.strip():
                found[name.strip()] = value.strip().strip("\"'")
        return found


def digest(*parts: bytes) -> str:
    """A short name for exactly these parts."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()[:16]


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port(taken: set[int]) -> int:
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port
