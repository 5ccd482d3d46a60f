"""Settings that tests need otherwise than they stand, put back afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from tests.acceptance.stack import Json, Stack


def content_of(stack: Stack, name: str) -> Json:
    """A settings document as it stands."""
    content: Json = stack.ok("GET", f"/api/v1/settings/{name}", user="admin")["content"]
    return content


def apply(stack: Stack, name: str, content: Json) -> None:
    """Settings over whatever version stands."""
    version = stack.ok("GET", f"/api/v1/settings/{name}", user="admin")["version"]
    stack.ok("PUT", f"/api/v1/settings/{name}", user="admin", json={"content": content, "version": version})


@contextmanager
def applied(stack: Stack, name: str, changes: Json) -> Iterator[Json]:
    """A settings document with some of its fields otherwise for a while; what stood before."""
    before = content_of(stack, name)
    apply(stack, name, before | changes)
    try:
        yield before
    finally:
        apply(stack, name, before)


@contextmanager
def away(stack: Stack, name: str, *, manager: str) -> Iterator[None]:
    """Somebody on leave for a while, as their manager says."""
    path = f"/api/v1/users/{stack.user_id(name)}/absence"
    until = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    stack.ok("PUT", path, user=manager, json={"until": until})
    try:
        yield
    finally:
        stack.ok("PUT", path, user="admin", json={})
