"""Machines' keys: issued, rotated with an overlap, revoked by whoever administers settings (CAP-5, S8)."""

from datetime import timedelta
from typing import Annotated, Self

from aws_lambda_powertools.event_handler import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.access import AdministerKeys, ApiKey, IssueKey
from revops.platform.http import Api
from revops.platform.problems import JSON

_EXAMPLE_ID = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_RATE = "Requests that are let through in a minute; 0: no limit of its own. Usage is not held to it: no event is lost"


class KeyRequest(BaseModel):
    """A new key: for whom, for what, how often."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,59}$", examples=["partner-one"])]
    scopes: Annotated[frozenset[str], Field(min_length=1, max_length=10, examples=[["leads:write"]])]
    rate_per_minute: Annotated[int, Field(ge=0, le=60_000, description=_RATE)] = 600


class RotationRequest(BaseModel):
    """How long the old key is good beside the new one."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    overlap_minutes: Annotated[int, Field(ge=0, le=10_080, examples=[1440])] = 1440


class KeyView(BaseModel):
    """A key without the key: its id is a hash that gives nothing away."""

    model_config = ConfigDict(defer_build=True)

    id: str = Field(examples=[_EXAMPLE_ID])
    name: str
    scopes: list[str]
    active: bool
    valid_until: AwareDatetime | None = None
    rate_per_minute: int
    rotated_from: str = ""
    created_at: AwareDatetime

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        """The key as it is shown."""
        return cls.model_validate({**key.model_dump(), "scopes": sorted(key.scopes)})


class KeysView(BaseModel):
    """Every key, newest first."""

    model_config = ConfigDict(defer_build=True)

    keys: list[KeyView]


class IssuedKeyView(BaseModel):
    """A key in plain text, this once."""

    model_config = ConfigDict(defer_build=True)

    id: str = Field(examples=[_EXAMPLE_ID])
    key: str = Field(description="Shown once and never kept; hand it over by a safe way")


def add_key_routes(api: Api, keys: AdministerKeys) -> None:
    """Registers the routes."""

    def issued(plain: str) -> Response[IssuedKeyView]:
        body = IssuedKeyView(id=IssueKey.identifier(plain), key=plain)
        return Response(status_code=201, content_type=JSON, body=body)

    @api.get("/api/v1/keys", "Every machine's key, without the keys", tag="keys", model=KeysView, errors=(401, 403))
    def list_keys() -> KeysView:
        return KeysView(keys=[KeyView.of(key) for key in keys.all(api.user_call())])

    @api.post(
        "/api/v1/keys",
        "Issue a key; it is shown once",
        tag="keys",
        status=201,
        model=IssuedKeyView,
        errors=(401, 403, 413),
    )
    def post_key(body: KeyRequest) -> Response[IssuedKeyView]:
        return issued(keys.issue(body.name, body.scopes, body.rate_per_minute, api.user_call()))

    @api.post(
        "/api/v1/keys/{key_id}/rotation",
        "Issue the key that follows one; both are good for the overlap",
        tag="keys",
        status=201,
        model=IssuedKeyView,
        errors=(401, 403, 404, 409, 413),
    )
    def post_rotation(key_id: str, body: RotationRequest) -> Response[IssuedKeyView]:
        return issued(keys.rotate(key_id, timedelta(minutes=body.overlap_minutes), api.user_call()))

    @api.post(
        "/api/v1/keys/{key_id}/revocation",
        "End a key; in force within 60 s",
        tag="keys",
        model=KeyView,
        errors=(401, 403, 404, 409),
    )
    def post_revocation(key_id: str) -> KeyView:
        return KeyView.of(keys.revoke(key_id, api.user_call()))
