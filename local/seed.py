"""Demo users, teams, keys and settings. Safe to repeat: what stands is left as it is."""

from collections.abc import Mapping
from typing import Any

from local.aws import wiring_of
from local.settings_files import apply_files
from revops.access import IssueKey, PlaceUser, Team, User
from revops.kernel import Role, system_call

TEAMS = {"head-office": "", "team-a": "head-office", "team-b": "head-office"}
"""Team → the team above it."""


def seed(stack: Mapping[str, Any]) -> None:
    """Places the users of `stack` in their teams, registers its keys, applies the files of config/, and makes the plans
    known to Stripe and HubSpot."""
    wiring, call = wiring_of(stack), system_call("seed")
    place, now = PlaceUser(wiring.table, wiring.clock), wiring.clock.now()
    for identifier, parent in TEAMS.items():
        team = Team(id=identifier, created_at=now, modified_at=now, name=identifier, parent_id=parent)
        place.team(team, call)
    for name, user in stack["users"].items():
        place.user(
            User(
                id=user["id"],
                created_at=now,
                modified_at=now,
                name=name,
                email=user["email"],
                role=Role(user["role"]),
                team_id=user["team"],
            ),
            call,
        )
    keys = IssueKey(wiring.table, wiring.clock)
    partner = frozenset({"leads:write", "webinar:write", "engagement:write"})
    keys("partner-one", partner, call, stack["partner_api_key"], 6_000)
    keys("metering", frozenset({"usage:write"}), call, stack["usage_api_key"])
    apply_files(wiring, call)
    wiring.sync_catalogue().apply()
    wiring.ensure_hubspot_properties()(call)
