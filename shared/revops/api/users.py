"""Users and when they are away (SAFE-6)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from revops.access import User
from revops.access.directory import Absence, ListUsers, SetAbsence
from revops.kernel import Role
from revops.platform.http import Api


class UserView(BaseModel):
    """A user as their administrators see them."""

    model_config = ConfigDict(defer_build=True)

    id: str = Field(examples=["8f2c1d9e-5b7a-4c3e-9f10-2a6b8d4e7c11"])
    name: str
    role: Role
    team_id: str
    time_zone: str = Field(default="", description="IANA name; empty: the company's")
    absent_from: datetime | None = None
    absent_until: datetime | None = Field(default=None, description="Empty, or past: the user is there")

    @classmethod
    def of(cls, user: User) -> Self:
        return cls.model_validate({name: getattr(user, name) for name in cls.model_fields})


class UserListView(BaseModel):
    """The users a caller administers."""

    model_config = ConfigDict(defer_build=True)

    users: list[UserView]


@dataclass(frozen=True, slots=True)
class UserUseCases:
    """What the routes call."""

    users: ListUsers
    set_absence: SetAbsence


def add_user_routes(api: Api, use: UserUseCases) -> None:
    """Registers the routes."""

    @api.get(
        "/api/v1/users",
        "The active users the caller administers: everybody for an admin, their team for a manager",
        tag="users",
        model=UserListView,
        errors=(401, 403),
    )
    def list_users() -> UserListView:
        return UserListView(users=[UserView.of(user) for user in use.users(api.user_call())])

    @api.put(
        "/api/v1/users/{user_id}/absence",
        "Say when a user is away, or with nothing said that they are back; in force within 60 s",
        tag="users",
        model=UserView,
        errors=(401, 403, 404, 413),
    )
    def put_absence(user_id: str, body: Absence) -> UserView:
        return UserView.of(use.set_absence(user_id, body, api.user_call()))
