"""Who may do what: one policy, consulted by every read, list, count and write (SAFE-1, SAFE-2)."""

from revops.access.keys import AdministerKeys, HoldRate, IssueKey
from revops.access.model import ApiKey, Team, User
from revops.access.policy import MATRIX, TENANT_SCOPE, UNASSIGNED, Grant, Policy, Reach, Resource
from revops.access.service import Authenticate, PlaceUser
from revops.access.store import API_KEYS, TEAMS, USERS

__all__ = [
    "API_KEYS",
    "MATRIX",
    "TEAMS",
    "TENANT_SCOPE",
    "UNASSIGNED",
    "USERS",
    "AdministerKeys",
    "ApiKey",
    "Authenticate",
    "Grant",
    "HoldRate",
    "IssueKey",
    "PlaceUser",
    "Policy",
    "Reach",
    "Resource",
    "Team",
    "User",
]
