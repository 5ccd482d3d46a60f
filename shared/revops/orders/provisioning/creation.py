"""A thing that must come to exist exactly once at a provider, whatever fails or repeats (R8, R9, R10)."""

from typing import Any

from pydantic import AwareDatetime

from revops.table import Entity


class Creation(Entity):
    """What we know about creating one thing. The id names it, such as `SUBSCRIPTION#ORD_…`.

    `request` is frozen with the key: one key, one request. `key_number` is the n of the idempotency key,
    `key_used_at` when that key was first used, `key_spent` that the provider gave it a final answer other than
    success. `leased_until` keeps a second worker away while a call may be under way.
    """

    request: dict[str, Any]
    key_number: int = 1
    key_used_at: AwareDatetime
    key_spent: bool = False
    leased_until: AwareDatetime | None = None
    tries: int = 1
    remote_id: str = ""
