"""DocuSign and Adobe Sign in the local stack."""

import json
import urllib.error
import urllib.request
import uuid
from base64 import b64encode
from textwrap import wrap
from typing import Any

from local.stack import deploy, servers
from local.stack.place import Place
from local.stack.progress import StepFailed, step

Vendor = dict[str, str | None]
# The sandboxes, used when real keys are given and no other address.
_DOCUSIGN_URL, _DOCUSIGN_OAUTH_URL = "https://demo.docusign.net", "https://account-d.docusign.com"
_ADOBE_SIGN_URL = "https://api.na1.adobesign.com"


def docusign(place: Place, settings: dict[str, str], api_url: str) -> Vendor:
    """What `stack.json` says of DocuSign: the real one with `DOCUSIGN_INTEGRATION_KEY`, else the simulator."""
    real = settings.get("DOCUSIGN_INTEGRATION_KEY")
    return {
        "webhook_url": f"{api_url}/webhooks/docusign",
        "secret": settings.get("DOCUSIGN_HMAC_KEY") or place.remembered("docusign:hmac_key"),
        "simulator_url": None if real else f"http://127.0.0.1:{place.ports()['docusign']}",
        "integration_key": real or _guid(place, "docusign:integration_key"),
        "user_id": settings.get("DOCUSIGN_USER_ID", "") if real else _guid(place, "docusign:user_id"),
        "account_id": settings.get("DOCUSIGN_ACCOUNT_ID", "") if real else _guid(place, "docusign:account_id"),
    }


def adobe_sign(place: Place, settings: dict[str, str], api_url: str) -> Vendor:
    """What `stack.json` says of Adobe Sign: the real one with `ADOBE_SIGN_REFRESH_TOKEN`, else the simulator."""
    real = settings.get("ADOBE_SIGN_REFRESH_TOKEN")
    return {
        "webhook_url": f"{api_url}/webhooks/adobe-sign",
        "simulator_url": None if real else f"http://127.0.0.1:{place.ports()['adobe_sign']}",
        "client_id": settings.get("ADOBE_SIGN_CLIENT_ID", "") if real else place.remembered("adobe_sign:client_id"),
    }


def simulators(place: Place, docusign: Vendor, adobe_sign: Vendor) -> list[servers.Server]:
    """Those that are simulated; stops those that are not any more."""
    secrets = {
        "docusign": {
            "DOCUSIGN_SIM_INTEGRATION_KEY": docusign["integration_key"],
            "DOCUSIGN_SIM_USER_ID": docusign["user_id"],
            "DOCUSIGN_SIM_ACCOUNT_ID": docusign["account_id"],
            "DOCUSIGN_SIM_HMAC_KEYS": ",".join(_hmac_keys(place, docusign)),
        },
        "adobe_sign": {
            "ADOBE_SIGN_SIM_CLIENT_ID": adobe_sign["client_id"],
            "ADOBE_SIGN_SIM_CLIENT_SECRET": place.remembered("adobe_sign:client_secret"),
            "ADOBE_SIGN_SIM_REFRESH_TOKEN": place.remembered("adobe_sign:refresh_token"),
        },
    }
    wanted = []
    for vendor, entry in (("docusign", docusign), ("adobe_sign", adobe_sign)):
        if not entry["simulator_url"]:
            servers.stop(place, vendor)
            continue
        (place.state / "simulators" / vendor).mkdir(parents=True, exist_ok=True)
        shared = {name: value or "" for name, value in secrets[vendor].items()}
        wanted.append(servers.simulator(place, vendor, ["--webhook-url", entry["webhook_url"] or ""], shared))
    return wanted


def secret_documents(
    place: Place, settings: dict[str, str], docusign: Vendor, adobe_sign: Vendor
) -> dict[str, dict[str, Any]]:
    """What the functions need to know of both. The key that signs for DocuSign is in KMS and in no secret."""
    here, adobe_here = docusign["simulator_url"], adobe_sign["simulator_url"]
    return {
        "docusign": {
            "integration_key": docusign["integration_key"],
            "user_id": docusign["user_id"],
            "account_id": docusign["account_id"],
            "base_url": here or settings.get("DOCUSIGN_BASE_URL", _DOCUSIGN_URL),
            "oauth_url": here or settings.get("DOCUSIGN_OAUTH_URL", _DOCUSIGN_OAUTH_URL),
            "hmac_keys": _hmac_keys(place, docusign) if here else [docusign["secret"]],
        },
        "adobe_sign": {
            "client_id": adobe_sign["client_id"],
            "client_secret": place.remembered("adobe_sign:client_secret")
            if adobe_here
            else settings.get("ADOBE_SIGN_CLIENT_SECRET", ""),
            "refresh_token": place.remembered("adobe_sign:refresh_token")
            if adobe_here
            else settings["ADOBE_SIGN_REFRESH_TOKEN"],
            "base_url": adobe_here or settings.get("ADOBE_SIGN_BASE_URL", _ADOBE_SIGN_URL),
        },
    }


def introduce(place: Place, key_id: str, docusign: Vendor, adobe_sign: Vendor) -> None:
    """What a person does once in either vendor's console: gives DocuSign the public half of our key, and has Adobe Sign
    verify the webhook. Raises StepFailed if a simulator does not take it."""
    with step("introduce the product to its e-sign vendors") as progress:
        if here := docusign["simulator_url"]:
            _ask(f"{here}/_sim/public_keys", {"public_key": public_key(place, key_id)})
        if here := adobe_sign["simulator_url"]:
            told = _ask(f"{here}/_sim/subscribe", {})
            if not told["verified"]:
                why = f"{adobe_sign['webhook_url']} answered {told['status']} and did not return the client id"
                raise StepFailed("introduce", why, "make log FUNCTION=esign_webhook")
        progress.note("done")


def public_key(place: Place, key_id: str) -> str:
    """The public half of the key that signs for DocuSign, as PEM."""
    encoded = deploy.client(place, "kms").get_public_key(KeyId=key_id)["PublicKey"]
    lines = wrap(b64encode(encoded).decode(), 64)
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


def _hmac_keys(place: Place, docusign: Vendor) -> list[str]:
    """Two, as while one takes over from the other: each message has a signature of either."""
    return [docusign["secret"] or "", place.remembered("docusign:second_hmac_key")]


def _guid(place: Place, name: str) -> str:
    """A GUID that belongs to this place."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, place.remembered(name)))


def _ask(url: str, body: dict[str, str]) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            answer: dict[str, Any] = json.loads(response.read())
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise StepFailed("introduce", f"{url}: {error}", "`make down`, then `make up` again") from error
    return answer
