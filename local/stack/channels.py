"""WhatsApp and Twilio in the local stack."""

import json
from typing import Any

from local.stack import servers
from local.stack.place import PROJECT, Place

Vendor = dict[str, str | None]
# The simulated WhatsApp number and its account, and the simulated Twilio account.
WHATSAPP_NUMBER_ID, WHATSAPP_NUMBER, WHATSAPP_ACCOUNT = "106540352242922", "493090182000", "419561257915477"
TWILIO_ACCOUNT = "AC" + "0" * 31 + "1"


def whatsapp(place: Place, settings: dict[str, str], api_url: str) -> Vendor:
    """What `stack.json` says of WhatsApp: the real one with `WHATSAPP_ACCESS_TOKEN`, else the simulator."""
    real = settings.get("WHATSAPP_ACCESS_TOKEN")
    return {
        "webhook_url": f"{api_url}/webhooks/whatsapp",
        "secret": settings.get("WHATSAPP_APP_SECRET") or place.remembered("whatsapp:app_secret"),
        "verify_token": settings.get("WHATSAPP_VERIFY_TOKEN") or place.remembered("whatsapp:verify_token"),
        "simulator_url": None if real else f"http://127.0.0.1:{place.ports()['whatsapp']}",
        "token": real or place.remembered("whatsapp:token"),
        "number_id": settings.get("WHATSAPP_NUMBER_ID") or WHATSAPP_NUMBER_ID,
        "number": f"+{WHATSAPP_NUMBER}",
        "account": settings.get("WHATSAPP_ACCOUNT", "") if real else WHATSAPP_ACCOUNT,
    }


def twilio(place: Place, settings: dict[str, str], api_url: str) -> Vendor:
    """What `stack.json` says of Twilio: the real one with `TWILIO_AUTH_TOKEN`, else the simulator."""
    real = settings.get("TWILIO_AUTH_TOKEN")
    return {
        "webhook_url": f"{api_url}/webhooks/twilio/voice",
        "status_url": f"{api_url}/webhooks/twilio/status",
        "secret": real or place.remembered("twilio:auth_token"),
        "simulator_url": None if real else f"http://127.0.0.1:{place.ports()['twilio']}",
        "account": settings.get("TWILIO_ACCOUNT_SID", "") if real else TWILIO_ACCOUNT,
    }


def simulators(place: Place, whatsapp: Vendor, twilio: Vendor) -> list[servers.Server]:
    """Those that are simulated; stops those that are not any more."""
    secrets = {
        "whatsapp": {
            "WHATSAPP_SIM_TOKEN": whatsapp["token"],
            "WHATSAPP_SIM_APP_SECRET": whatsapp["secret"],
            "WHATSAPP_SIM_VERIFY_TOKEN": whatsapp["verify_token"],
            "WHATSAPP_SIM_NUMBER_ID": whatsapp["number_id"],
            "WHATSAPP_SIM_NUMBER": WHATSAPP_NUMBER,
            "WHATSAPP_SIM_ACCOUNT": whatsapp["account"],
        },
        "twilio": {"TWILIO_SIM_AUTH_TOKEN": twilio["secret"], "TWILIO_SIM_ACCOUNT": twilio["account"]},
    }
    wanted = []
    for vendor, entry in (("whatsapp", whatsapp), ("twilio", twilio)):
        if not entry["simulator_url"]:
            servers.stop(place, vendor)
            continue
        folder = place.state / "simulators" / vendor
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--webhook-url", entry["webhook_url"] or ""]
        if vendor == "whatsapp":
            place.write(f"simulators/{vendor}/config.json", {"templates": _approved_templates()})
            options += ["--config", str(folder / "config.json")]
        shared = {name: value or "" for name, value in secrets[vendor].items()}
        wanted.append(servers.simulator(place, vendor, options, shared))
    return wanted


def _approved_templates() -> dict[str, dict[str, int]]:
    """The WhatsApp templates that the configuration sends, as if Meta had approved them."""
    written = json.loads((PROJECT / "config" / "nurture_templates.json").read_text("utf-8"))
    approved: dict[str, dict[str, int]] = {}
    for languages in written["whatsapp"].values():
        for template in languages.values():
            approved.setdefault(template["name"], {})[template["language"]] = len(template["parameters"])
    return approved


def secret_documents(whatsapp: Vendor, twilio: Vendor) -> dict[str, dict[str, Any]]:
    """What the functions need to know of both."""
    return {
        "whatsapp": {
            "access_token": whatsapp["token"],
            "phone_number_id": whatsapp["number_id"],
            "app_secrets": [whatsapp["secret"]],
            "verify_tokens": [whatsapp["verify_token"]],
            "accounts": [whatsapp["account"]] if whatsapp["account"] else [],
        },
        "twilio": {
            "auth_tokens": [twilio["secret"]],
            "accounts": [twilio["account"]] if twilio["account"] else [],
        },
    }
