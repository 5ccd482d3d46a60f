"""Reactions of billing: what outside systems say of a customer's assets, and customers that follow their account."""

from collections.abc import Callable

from pydantic import ValidationError

from revops.billing.assets import AssetApprovalChanged, LinkAssets
from revops.billing.ownership import FollowOwner
from revops.bus.consume import Occurred
from revops.bus.reactions import Reactions
from revops.kernel import FieldIssue, Invalid


def asset_reactions(link_assets: Callable[[], LinkAssets]) -> Reactions:
    """To events of outside systems: an asset was approved, is pending, or was rejected (STR-4)."""

    def link(event: Occurred) -> str:
        try:
            said = AssetApprovalChanged.model_validate(dict(event.data))
        except ValidationError as error:
            issues = [FieldIssue(".".join(map(str, each["loc"])), each["type"], each["msg"]) for each in error.errors()]
            raise Invalid("not a change of an asset's approval", issues) from error
        linked = link_assets().from_bus(said, event.call)
        return f"asset link {linked.link_status}" if linked else "no such customer"

    return {"AssetApprovalChanged": (link,)}


def ownership_reactions(follow_owner: Callable[[], FollowOwner]) -> Reactions:
    """An account has another owner: its customer and what reports tell of it follow."""

    def follow(event: Occurred) -> str:
        return f"{follow_owner()(event.data['account_id'], event.call)} log entries follow the owner"

    def catch_up(event: Occurred) -> str:
        """A change of an account was lost: it may be the one that handed it over."""
        if account_id := event.lost("ACCOUNT"):
            follow_owner()(account_id, event.call)
        return "customer follows the owner" if account_id else ""

    return {"AccountAssigned": (follow,), "RecordRedriven": (catch_up,)}
