"""Who may do what: one policy, consulted by every read, list, count and write (SAFE-1, SAFE-2)."""

from revops.access.model import ApiKey, Team, User
from revops.access.policy import MATRIX, Grant, Policy, Reach, Resource
from revops.access.service import Authenticate, IssueKey, PlaceUser
from revops.access.store import API_KEYS, TEAMS, USERS

__all__ = [
    "API_KEYS",
    "MATRIX",
    "TEAMS",
    "USERS",
    "ApiKey",
    "Authenticate",
    "Grant",
    "IssueKey",
    "PlaceUser",
    "Policy",
    "Reach",
    "Resource",
    "Team",
    "User",
]
