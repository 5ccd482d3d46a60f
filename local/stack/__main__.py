"""Command line of the local stack: up, down, status, tokens, log, forget."""

import argparse
import json
import platform
import shutil
import sys
import time
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local import seed
from local.stack import build, channels, deploy, esign, servers, users
from local.stack.place import API_ID, PROJECT, REGION, STAGE, Place, StackFile, digest
from local.stack.progress import StepFailed, step
from local.story import tell

# What a vendor's part of stack.json says; no simulator where the real one is used.
Vendor = dict[str, str | None]
# The simulated portal's number.
PORTAL_ID = "48000001"
# How a key of Stripe's test mode begins: the official CLI takes no other, and it drives the simulator too.
_TEST_KEY = "_".join(("sk", "test", ""))


def up(place: Place, *, story: bool = True) -> None:
    """Everything from nothing; what is there already is left as it is."""
    began = time.monotonic()
    _check_prerequisites()
    ports = place.ports()
    settings = place.settings()
    api_url = f"{deploy.endpoint_url(place)}/_aws/execute-api/{API_ID}/%24default"
    stripe = _stripe(place, settings, api_url)
    hubspot = _hubspot(place, settings, api_url)
    whatsapp, twilio = channels.whatsapp(place, settings, api_url), channels.twilio(place, settings, api_url)
    docusign, adobe_sign = esign.docusign(place, settings, api_url), esign.adobe_sign(place, settings, api_url)
    simulators = _simulators(place, stripe, hubspot)
    simulators += channels.simulators(place, whatsapp, twilio) + esign.simulators(place, docusign, adobe_sign)
    servers.start_all(place, [servers.emulator(place), *simulators])
    outputs, changed = deploy.deploy(
        place,
        {
            "Stage": STAGE,
            "Platform": "local",
            "Architecture": "arm64" if _is_arm() else "x86_64",
            "StripeApiBase": stripe["simulator_url"] or "",
            "HubspotApiBase": hubspot["simulator_url"] or "",
            "HubspotWebhookUrl": hubspot["webhook_url"] or "",
            "WhatsappApiBase": whatsapp["simulator_url"] or "",
            "PublicUrl": api_url,
            "MailApiBase": f"http://127.0.0.1:{ports['mail']}",
            "CorsOrigins": "http://localhost:3000,http://127.0.0.1:3000",
            "MailFrom": "revops@example.com",
            "MailIdentity": "example.com",
            "MailToOps": "revops-team@example.com",
            "AccessTokenMinutes": "1440",
            "SweepSchedule": "rate(1 minute)",
        },
    )
    _put_vendor_secrets(place, stripe, hubspot, settings)
    _put_secrets(place, channels.secret_documents(whatsapp, twilio))
    _put_secrets(place, esign.secret_documents(place, settings, docusign, adobe_sign))
    esign.introduce(place, outputs["DocusignKeyId"], docusign, adobe_sign)
    stack: StackFile = {
        "api_url": api_url,
        "region": REGION,
        "endpoint_url": deploy.endpoint_url(place),
        "table_name": outputs["TableName"],
        "bus_name": outputs["BusName"],
        "user_pool_id": outputs["UserPoolId"],
        "client_id": outputs["UserPoolClientId"],
        "users": users.ensure(place, outputs["UserPoolId"]),
        "tokens": {},
        "partner_api_key": place.remembered("partner_api_key"),
        "usage_api_key": place.remembered("usage_api_key"),
        "stripe": stripe,
        "hubspot": hubspot,
        "whatsapp": whatsapp,
        "twilio": twilio,
        "docusign": docusign,
        "adobe_sign": adobe_sign,
        "mail": {"simulator_url": f"http://127.0.0.1:{ports['mail']}"},
        "resources": outputs,
    }
    stack["tokens"] = users.tokens(place, stack["client_id"], stack["users"])
    place.write("stack.json", stack, private=True)
    seeded = _seed(place, stack)
    print(f"  stack ready in {time.monotonic() - began:.1f} s" + ("" if changed else ", nothing had changed"))
    if story and not place.for_tests:
        _tell_story(place, seeded)
    _show(place)


def down(place: Place) -> None:
    """Stops every server of the place; its state stays for the next `up`."""
    stopped = [name for name in servers.known(place) if servers.stop(place, name)]
    print("  stopped: " + ", ".join(stopped) if stopped else "  nothing was running")


def forget(place: Place) -> None:
    """Stops the place and removes its state; built layers and the other place's state stay."""
    down(place)
    others = {build.CACHE, Place.of_tests().state, Place.of_user().state}
    for path in place.state.iterdir() if place.state.exists() else []:
        if path in others:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def status(place: Place) -> bool:
    """Shows what runs; True if the emulator does."""
    for name in servers.known(place):
        pid = servers.running_pid(place, name)
        print(f"  {name:<10} {'pid ' + str(pid) if pid else 'not running'}")
    alive = servers.running_pid(place, "emulator") is not None
    if alive and place.stack_json.exists():
        _show(place)
    elif not alive:
        print("  the stack is down; `make up` starts it")
    return alive


def refresh_tokens(place: Place) -> None:
    """Writes fresh access tokens into stack.json."""
    stack = place.read("stack.json")
    if not stack or servers.running_pid(place, "emulator") is None:
        raise StepFailed("refresh tokens", "the stack is not running", "`make up`")
    with step("fresh access tokens"):
        stack["tokens"] = users.tokens(place, stack["client_id"], stack["users"])
        place.write("stack.json", stack, private=True)


def _check_prerequisites() -> None:
    if not servers.EMULATOR_PYTHON.exists():
        raise StepFailed("start", f"{servers.EMULATOR_PYTHON} is missing", "`make setup`")


def _is_arm() -> bool:
    return platform.machine().lower() in {"arm64", "aarch64"}


def _stripe(place: Place, settings: dict[str, str], api_url: str) -> Vendor:
    webhook_url = f"{api_url}/webhooks/stripe"
    if real := settings.get("STRIPE_API_KEY"):
        secret = settings.get("STRIPE_WEBHOOK_SECRET") or place.remembered("stripe:webhook_secret")
        return {"webhook_url": webhook_url, "secret": secret, "simulator_url": None, "api_key": real}
    return {
        "webhook_url": webhook_url,
        "secret": place.remembered("stripe:webhook_secret"),
        "simulator_url": f"http://127.0.0.1:{place.ports()['stripe']}",
        "api_key": _TEST_KEY + place.remembered("stripe:api_key"),
    }


def _hubspot(place: Place, settings: dict[str, str], api_url: str) -> Vendor:
    webhook_url = f"{api_url}/webhooks/hubspot"
    if real := settings.get("HUBSPOT_TOKEN"):
        secret = settings.get("HUBSPOT_CLIENT_SECRET") or place.remembered("hubspot:client_secret")
        return {"webhook_url": webhook_url, "secret": secret, "simulator_url": None, "token": real}
    return {
        "webhook_url": webhook_url,
        "secret": place.remembered("hubspot:client_secret"),
        "simulator_url": f"http://127.0.0.1:{place.ports()['hubspot']}",
        "token": place.remembered("hubspot:token"),
    }


def _simulators(place: Place, stripe: Vendor, hubspot: Vendor) -> list[servers.Server]:
    secrets = {
        "stripe": {"STRIPE_SIM_API_KEY": stripe["api_key"], "STRIPE_SIM_WEBHOOK_SECRET": stripe["secret"]},
        "hubspot": {
            "HUBSPOT_SIM_TOKEN": hubspot["token"],
            "HUBSPOT_SIM_CLIENT_SECRET": hubspot["secret"],
            "HUBSPOT_SIM_PORTAL_ID": PORTAL_ID,
        },
    }
    wanted = []
    for vendor, entry in (("stripe", stripe), ("hubspot", hubspot)):
        if entry["simulator_url"]:
            (place.state / "simulators" / vendor).mkdir(parents=True, exist_ok=True)
            shared = {name: value or "" for name, value in secrets[vendor].items()}
            options = ["--webhook-url", entry["webhook_url"] or ""]
            wanted.append(servers.simulator(place, vendor, options, shared))
        else:
            servers.stop(place, vendor)
    (place.state / "simulators" / "mail").mkdir(parents=True, exist_ok=True)
    return [*wanted, servers.simulator(place, "mail", ["--emulator-url", deploy.endpoint_url(place)], {})]


def _put_vendor_secrets(place: Place, stripe: Vendor, hubspot: Vendor, settings: dict[str, str]) -> None:
    documents: dict[str, dict[str, Any]] = {
        "stripe": {
            "api_key": stripe["api_key"],
            "webhook_secrets": [stripe["secret"]],
            # Which account sent an event is checked where it is known; a platform's own webhooks do not name it.
            "account": "",
            "livemode": False,
        },
        "hubspot": {
            "token": hubspot["token"],
            "client_secrets": [hubspot["secret"]],
            "portal_id": settings.get("HUBSPOT_PORTAL_ID", PORTAL_ID),
        },
    }
    _put_secrets(place, documents)


def _put_secrets(place: Place, documents: dict[str, dict[str, Any]]) -> None:
    secretsmanager = deploy.client(place, "secretsmanager")
    for vendor, document in documents.items():
        wanted = json.dumps(document)
        name = f"revops/{STAGE}/{vendor}"
        if secretsmanager.get_secret_value(SecretId=name)["SecretString"] != wanted:
            secretsmanager.put_secret_value(SecretId=name, SecretString=wanted)


def _seed(place: Place, stack: StackFile) -> str:
    """Seeds a table that has not seen these users, this seed and this configuration; names what it was seeded with."""
    table = deploy.client(place, "dynamodb").describe_table(TableName=stack["table_name"])["Table"]
    sources = [*sorted((PROJECT / "local").glob("*.py")), *sorted((PROJECT / "config").rglob("*.json"))]
    mark = digest(
        str(table["CreationDateTime"]).encode(),
        json.dumps(stack["users"]).encode(),
        *(path.read_bytes() for path in sources),
    )
    if place.read("seeded.json").get("with") == mark:
        return mark
    with step("seed users, teams, keys and settings"):
        seed.seed(stack)
    place.write("seeded.json", {"with": mark})
    place.write("stack.json", stack, private=True)
    return mark


def _tell_story(place: Place, seeded: str) -> None:
    if seeded and place.read("story.json").get("on") == seeded:
        print("  the story was told before; `make story` tells it again")
        return
    if tell(place.read("stack.json")):
        place.write("story.json", {"on": seeded})


def _show(place: Place) -> None:
    stack = place.read("stack.json")
    print(f"\n  API        {stack['api_url']}")
    for vendor in ("stripe", "hubspot", "whatsapp", "twilio", "docusign", "adobe_sign", "mail"):
        where = stack[vendor]["simulator_url"]
        print(f"  {vendor:<10} {where or 'the real one (.env)'}")
    print(f"  all else   {place.stack_json}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.stack", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "status", "tokens", "log", "forget"])
    parser.add_argument("function", nargs="?", default="", help="whose log to show (a folder of functions/)")
    parser.add_argument("--for-tests", action="store_true", help="a stack of its own, beside the user's")
    parser.add_argument("--no-story", action="store_true", help="do not tell the demo story after `up`")
    arguments = parser.parse_args()
    place = Place.of_tests() if arguments.for_tests else Place.of_user()
    try:
        match arguments.command:
            case "up":
                up(place, story=not arguments.no_story)
            case "down":
                down(place)
            case "status":
                return 0 if status(place) else 1
            case "tokens":
                refresh_tokens(place)
            case "log":
                print("\n".join(deploy.log(place, arguments.function)))
            case "forget":
                forget(place)
    except StepFailed as failure:
        print(failure.report(), file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()  # whoever read along has left; nothing is wrong
        return 0
    except (BotoCoreError, ClientError, OSError) as error:
        then = f"see {place.logs / 'emulator.log'}; `make down`, then `make up` again"
        print(StepFailed(arguments.command, str(error), then).report(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\n  interrupted; `make up` goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
