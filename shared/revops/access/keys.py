"""The keys machines use: issued, rotated with an overlap, revoked, and each held to its rate (CAP-5, S8, S23)."""

import math
import secrets
from collections.abc import Callable
from datetime import timedelta

from revops.access.model import ApiKey
from revops.access.policy import TENANT_SCOPE, Policy, Resource
from revops.access.store import API_KEYS, all_keys, key_hash, place_key
from revops.kernel import CallContext, Clock, Invalid, Principal, Refused, TooManyRequests
from revops.table import Table, begin, commit_update
from revops.table.rates import slot_of, take_block

SCOPES = frozenset({"engagement:write", "leads:write", TENANT_SCOPE, "usage:write", "webinar:write"})
"""What a key may be good for."""
LONGEST_OVERLAP = timedelta(days=7)
_SLOT_SECONDS = 10
_BLOCKS = 50
"""Into how many blocks a slot is dealt out: five writes a second at most, and as many processes go short of none."""


class IssueKey:
    """Issues, rotates and revokes machine keys. A key itself is shown once and never kept."""

    def __init__(
        self, table: Table, clock: Clock, new_key: Callable[[], str] = lambda: secrets.token_urlsafe(32)
    ) -> None:
        self._table = table
        self._clock = clock
        self._new_key = new_key

    def __call__(
        self, name: str, scopes: frozenset[str], call: CallContext, presented: str = "", rate_per_minute: int = 600
    ) -> str:
        """The new key in plain text. `presented` registers a key that already exists, for repeatable set-ups: one that
        is registered gets these scopes and this rate, and a revoked one stays so. Raises Invalid for a scope that there
        is not."""
        if not scopes or scopes - SCOPES:
            raise Invalid.field("scopes", "scopes", "none, or one that there is not", ", ".join(sorted(SCOPES)))
        now = self._clock.now()
        plain = presented or self._new_key()
        standing = API_KEYS.get(self._table, key_hash(plain))
        wanted = {"scopes": scopes, "rate_per_minute": rate_per_minute}
        if standing is not None and any(getattr(standing, name) != value for name, value in wanted.items()):
            transaction = begin(call, now)
            API_KEYS.update(transaction, standing.revised(now, **wanted))
            self._table.commit(transaction)
        if standing is None:
            transaction = begin(call, now)
            fresh = ApiKey(
                id=key_hash(plain),
                created_at=now,
                modified_at=now,
                name=name,
                scopes=scopes,
                rate_per_minute=rate_per_minute,
            )
            API_KEYS.create(transaction, fresh)
            place_key(transaction, fresh)
            self._table.commit(transaction)
        return plain

    @staticmethod
    def identifier(plain: str) -> str:
        """The id under which a key is kept and revoked; it gives nothing away of the key."""
        return key_hash(plain)

    def rotate(self, key_id: str, overlap: timedelta, call: CallContext) -> str:
        """A new key of the same name, scopes and rate; the old one ends after the overlap, in the same transaction.
        Raises NotFound, Refused for a key that has ended or is being rotated already, Invalid for an overlap that is
        too long."""
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            raise Invalid.field("overlap_minutes", "CAP-5 rotation", "too long", f"0 to {LONGEST_OVERLAP.days} days")
        old, now = API_KEYS.require(self._table, key_id), self._clock.now()
        if not old.good_at(now):
            raise Refused("this key has ended; issue a new one")
        if old.valid_until is not None:
            raise Refused(f"this key is being rotated already; it ends at {old.valid_until.isoformat()}")
        plain = self._new_key()
        transaction = begin(call, now)
        ended = old.revised(now, valid_until=now + overlap)
        API_KEYS.update(transaction, ended)
        fresh = ApiKey(
            id=key_hash(plain),
            created_at=now,
            modified_at=now,
            name=old.name,
            scopes=old.scopes,
            rate_per_minute=old.rate_per_minute,
            rotated_from=old.id,
        )
        API_KEYS.create(transaction, fresh)
        place_key(transaction, fresh)
        commit_update(self._table, transaction, API_KEYS, ended)
        return plain

    def revoke(self, key_id: str, call: CallContext) -> ApiKey:
        """Ends a key; in force within 60 s. Raises NotFound."""
        key = API_KEYS.require(self._table, key_id)
        if not key.active:
            return key
        transaction = begin(call, self._clock.now())
        ended = key.revised(self._clock.now(), active=False)
        API_KEYS.update(transaction, ended)
        commit_update(self._table, transaction, API_KEYS, ended)
        return ended


class AdministerKeys:
    """Keys for those who administer settings and users."""

    def __init__(self, table: Table, policy: Policy, issue: IssueKey) -> None:
        self._table = table
        self._policy = policy
        self._issue = issue

    def all(self, call: CallContext) -> list[ApiKey]:
        """Every key, newest first. Raises Forbidden."""
        self._require(call)
        return all_keys(self._table)

    def issue(self, name: str, scopes: frozenset[str], rate_per_minute: int, call: CallContext) -> str:
        """A new key, in plain text. Raises Forbidden, Invalid."""
        self._require(call)
        return self._issue(name, scopes, call, rate_per_minute=rate_per_minute)

    def rotate(self, key_id: str, overlap: timedelta, call: CallContext) -> str:
        """The key that follows one, in plain text. Raises Forbidden, NotFound, Refused."""
        self._require(call)
        return self._issue.rotate(key_id, overlap, call)

    def revoke(self, key_id: str, call: CallContext) -> ApiKey:
        """The key as it ended. Raises Forbidden, NotFound."""
        self._require(call)
        return self._issue.revoke(key_id, call)

    def _require(self, call: CallContext) -> None:
        self._policy.require_any(call.principal, Resource.SETTINGS, write=True)


class HoldRate:
    """Holds each key to its own rate, over all processes. One instance per process."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._held: dict[str, tuple[int, int]] = {}

    def __call__(self, principal: Principal, call: CallContext, cost: int = 1) -> None:
        """Takes `cost` requests of a key's rate; a rate of 0 is none. Raises TooManyRequests when there is none,
        Invalid for what would never fit, however long one waits."""
        if not principal.rate_per_minute:
            return
        now = self._clock.now()
        slot = slot_of(now, _SLOT_SECONDS)
        per_slot = max(1, math.ceil(principal.rate_per_minute * _SLOT_SECONDS / 60))
        if cost > per_slot:
            raise Invalid(f"{cost} at once never fit: this key may send at most {per_slot} in {_SLOT_SECONDS} s")
        slot_held, held = self._held.get(principal.id, (slot, 0))
        held = held if slot_held == slot else 0
        while held < cost:
            block = max(cost - held, math.ceil(per_slot / _BLOCKS))
            taken = take_block(self._table, principal.id, slot, now, call, per_slot=per_slot, block=block)
            if not taken:
                self._held[principal.id] = (slot, held)
                wait = slot + _SLOT_SECONDS - now.timestamp()
                raise TooManyRequests(f"this key may send {principal.rate_per_minute} a minute", retry_after=wait)
            held += taken
        self._held[principal.id] = (slot, held - cost)
