"""Operating a deployment from a terminal: the first administrator, machine keys, settings, replay.

    python -m local.operate --stack revops-prod admin --email ann@example.com --name "Ann"
    python -m local.operate --stack revops-prod key --name partner-one --scopes leads:write
    python -m local.operate --stack revops-prod revoke --key-id <id printed by `key`>
    python -m local.operate --stack revops-prod settings plan|apply [name …]
    python -m local.operate --stack revops-prod catalogue plan|apply
    python -m local.operate --stack revops-prod replay --provider stripe --start 2026-11-20T09:00:00Z [--dry-run]

`--stack` is the CloudFormation stack's name, found with the AWS credentials at hand; without it the stack that
`make up` started here is meant.
"""

import argparse
import json
import secrets
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local.aws import sign_in, wiring_of
from local.settings_files import apply_files, plan_files
from revops.access import IssueKey, PlaceUser, Team, User
from revops.bootstrap import Wiring
from revops.inbox import InboxStatus
from revops.inbox.replay import PROVIDERS, ReplayRequest, ReplaySignals
from revops.kernel import CallContext, DomainError, Role, system_call
from revops.platform.config import Config
from revops.table import CursorSigner

LOCAL = Path(".local/stack.json")
HEAD_OFFICE = "head-office"


class NoSuchStack(Exception):
    """There is nothing to operate."""


class Deployment:
    """A deployed stack: its wiring, and the user pool that lets people in."""

    def __init__(self, stack: str) -> None:
        if stack:
            outputs = _outputs(stack)
            self.wiring = Wiring(
                Config.from_environment(
                    {
                        "STAGE": outputs["Stage"],
                        "AWS_REGION": outputs["Region"],
                        "TABLE_NAME": outputs["TableName"],
                        "SECRET_PREFIX": f"revops/{outputs['Stage']}/",
                    }
                )
            )
            self.user_pool_id = outputs["UserPoolId"]
            self.cognito: Any = boto3.client("cognito-idp", region_name=outputs["Region"])
            return
        if not LOCAL.exists():
            raise NoSuchStack(f"{LOCAL} is not there: start one with `make up`, or name one with --stack")
        local: Mapping[str, Any] = json.loads(LOCAL.read_text(encoding="utf-8"))
        sign_in()
        self.wiring = wiring_of(local)
        self.user_pool_id = local["user_pool_id"]
        self.cognito = boto3.client("cognito-idp", endpoint_url=local["endpoint_url"], region_name=local["region"])


def _outputs(stack: str) -> dict[str, str]:
    session = boto3.session.Session()
    if session.region_name is None:
        raise NoSuchStack("no region: set AWS_DEFAULT_REGION, or a region in the AWS profile")
    found = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])}
    return {**outputs, "Stage": parameters["Stage"], "Region": session.region_name}


def admin(deployment: Deployment, chosen: argparse.Namespace, call: CallContext) -> str:
    """Invites somebody to the user pool and makes them an administrator."""
    attributes = [{"Name": "email", "Value": chosen.email}, {"Name": "email_verified", "Value": "true"}]
    try:
        made = deployment.cognito.admin_create_user(
            UserPoolId=deployment.user_pool_id, Username=chosen.email, UserAttributes=attributes
        )["User"]["Attributes"]
    except deployment.cognito.exceptions.UsernameExistsException:
        made = deployment.cognito.admin_get_user(UserPoolId=deployment.user_pool_id, Username=chosen.email)[
            "UserAttributes"
        ]
    subject = next(each["Value"] for each in made if each["Name"] == "sub")
    place, now = PlaceUser(deployment.wiring.table, deployment.wiring.clock), deployment.wiring.clock.now()
    place.team(Team(id=HEAD_OFFICE, created_at=now, modified_at=now, name="Head office"), call)
    user = User(
        id=subject,
        created_at=now,
        modified_at=now,
        name=chosen.name,
        email=chosen.email,
        role=Role.ADMIN,
        team_id=HEAD_OFFICE,
    )
    place.user(user, call)
    return f"{chosen.email} is an Admin ({subject}); the user pool has sent the invitation"


def key(deployment: Deployment, chosen: argparse.Namespace, call: CallContext) -> str:
    """Issues a machine's key and prints it once."""
    issue = IssueKey(deployment.wiring.table, deployment.wiring.clock)
    plain = issue(chosen.name, frozenset(chosen.scopes), call)
    return f"key of {chosen.name}: {plain}\nkey id (to revoke it): {issue.identifier(plain)}\nIt is not shown again."


def revoke(deployment: Deployment, chosen: argparse.Namespace, call: CallContext) -> str:
    """Ends a key within a minute."""
    IssueKey(deployment.wiring.table, deployment.wiring.clock).revoke(chosen.key_id, call)
    return "revoked; in force everywhere within 60 s"


def settings(deployment: Deployment, chosen: argparse.Namespace, call: CallContext) -> str:
    """Shows or applies the difference between config/ and what is in force."""
    if chosen.verb == "apply":
        return "applied: " + (", ".join(apply_files(deployment.wiring, call, chosen.names)) or "nothing differs")
    return "\n".join(plan_files(deployment.wiring, call, chosen.names))


def catalogue(deployment: Deployment, chosen: argparse.Namespace, _call: CallContext) -> str:
    """Shows or closes the difference between the plan data in force and the billing provider's catalogue."""
    sync = deployment.wiring.sync_catalogue()
    changes = sync.apply() if chosen.verb == "apply" else sync.plan()
    lines = [
        f"{'changed' if each.drift else each.action:>9}  {each.what} {each.key}"
        + (f": {each.detail}" if each.detail else "")
        for each in changes
    ]
    if not lines:
        return "nothing differs"
    return "\n".join([*lines, f"{len(lines)} {'done' if chosen.verb == 'apply' else 'differences; apply closes them'}"])


def replay(deployment: Deployment, chosen: argparse.Namespace, call: CallContext) -> str:
    """Hands received webhooks to their worker again."""
    wiring = deployment.wiring
    wanted = ReplayRequest(
        provider=chosen.provider,
        subject=chosen.subject,
        start=chosen.start,
        end=chosen.end,
        handler_version=chosen.handler_version,
        event_type=chosen.event_type,
        outcome=chosen.outcome,
        only_dead=chosen.only_dead,
        dry_run=chosen.dry_run,
        settled_before=chosen.settled_before,
    )
    signer = CursorSigner(secrets.token_bytes(32))  # it goes on by itself: its cursors never leave this process
    replay = ReplaySignals(wiring.table, wiring.clock, wiring.policy, wiring.settlement, lambda: signer)
    replayed = failed = 0
    while True:
        done = replay(wanted, call)
        replayed, failed = replayed + done.replayed, failed + done.failed
        if not done.more:
            break
        wanted = wanted.model_copy(update={"cursor": done.cursor, "settled_before": done.settled_before})
    if chosen.dry_run:
        return f"{replayed} would be handed to the worker again"
    again = f"; {failed} could not be just now: run it again" if failed else ""
    return f"{replayed} handed to the worker again{again}"


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    whole = argparse.ArgumentParser(
        prog="python -m local.operate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    whole.add_argument("--stack", default="", help="name of the CloudFormation stack; the local one if left out")
    verbs = whole.add_subparsers(dest="command", required=True)
    one = verbs.add_parser("admin")
    one.add_argument("--email", required=True)
    one.add_argument("--name", required=True)
    one = verbs.add_parser("key")
    one.add_argument("--name", required=True)
    one.add_argument("--scopes", nargs="+", required=True, help="leads:write, usage:write …")
    one = verbs.add_parser("revoke")
    one.add_argument("--key-id", required=True)
    one = verbs.add_parser("settings")
    one.add_argument("verb", choices=["plan", "apply"])
    one.add_argument("names", nargs="*", help="documents; all if left out")
    one = verbs.add_parser("catalogue")
    one.add_argument("verb", choices=["plan", "apply"])
    one = verbs.add_parser("replay")
    one.add_argument("--provider", choices=PROVIDERS, required=True)
    one.add_argument("--subject", default="", help="the vendor's object id")
    one.add_argument("--start", type=datetime.fromisoformat)
    one.add_argument("--end", type=datetime.fromisoformat)
    one.add_argument("--handler-version", default="", help="what this release settled")
    one.add_argument("--event-type", default="", help="`invoice.paid`, or `invoice.*` for a family")
    settled = [each.value for each in InboxStatus if each is not InboxStatus.RECEIVED]
    one.add_argument("--outcome", choices=settled, help="only what ended so")
    one.add_argument("--only-dead", action="store_true", help="the same as --outcome Dead")
    one.add_argument("--dry-run", action="store_true", help="count only")
    one.add_argument("--settled-before", type=datetime.fromisoformat, help="as a run that was cut short printed it")
    return whole


COMMANDS: Mapping[str, Callable[[Deployment, argparse.Namespace, CallContext], str]] = {
    "admin": admin,
    "key": key,
    "revoke": revoke,
    "settings": settings,
    "catalogue": catalogue,
    "replay": replay,
}


def main(arguments: list[str] | None = None) -> int:
    chosen = parser().parse_args(arguments)
    try:
        print(COMMANDS[chosen.command](Deployment(chosen.stack), chosen, system_call("operate")))
    except BrokenPipeError:
        sys.stderr.close()  # whoever read along has left; nothing is wrong
    except (DomainError, ClientError, BotoCoreError, NoSuchStack, FileNotFoundError, ValueError) as error:
        print(f"✗ {chosen.command}\n  why:  {error}\n  next: python -m local.operate --help", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
