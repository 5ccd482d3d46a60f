"""The protocol of creating something exactly once over a line that loses answers.

Why each part is there:

- The key number and the frozen request are committed *before* the first call, so a crash at any point leads back to
  the same key with the same parameters: a timeout before or after success is then a plain repeat (R8).
- A provider replays the failure it saved for a key for ever; the way on is the next key (R9). A saved failure does not
  prove that nothing was made, so the provider is asked first, by listing; search lags.
- A key is forgotten after 24 hours, and the same key then makes a second thing; from 23 hours on the provider is asked
  first, and a new key is taken (R10).
- A new key is only safe when no call with the old one can still be under way: a lease, longer than a worker lives and
  a call takes, keeps workers apart. Taking it, like everything else, is a conditional write.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from revops.kernel import CallContext, Clock, Unavailable
from revops.orders.ports import OutcomeUnknown, ProvisioningRefused, SavedFailure
from revops.orders.provisioning.creation import Creation
from revops.orders.store import CREATIONS
from revops.table import ConditionFailed, Table, Transaction, begin

LEASE = timedelta(seconds=75)
"""Longer than the worker's own time limit (60 s) and a call's (10 s) together."""
KEY_LIFE = timedelta(hours=23)
ROUNDS = 3

type Request = dict[str, Any]


class CreateOnce:
    """Makes sure that one thing exists and tells its id at the provider."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def __call__(
        self,
        identifier: str,
        key_prefix: str,
        call: CallContext,
        *,
        freeze: Callable[[], Request],
        find: Callable[[Request], str | None],
        create: Callable[[Request, str], str],
    ) -> str:
        """The id of the thing `identifier`.

        `freeze` works out the request; it is asked again only when the key it belonged to is spent. `find` looks for
        what an earlier call may have made, `create` makes it under a key `<key_prefix>` with `v{n}` filled in.
        Raises Unavailable (try again later) and ProvisioningRefused.
        """
        creation = CREATIONS.get(self._table, identifier)
        if creation is not None and creation.remote_id:
            return creation.remote_id
        creation = self._first(identifier, freeze(), call) if creation is None else self._lease(creation, call)
        for _ in range(ROUNDS):
            if creation.tries > 1 or creation.key_spent:
                found = find(creation.request)
                if found is not None:
                    return self._done(creation, found, call)
            creation = self._usable_key(creation, freeze, call)
            try:
                made = create(creation.request, key_prefix.replace("{n}", str(creation.key_number)))
            except OutcomeUnknown:
                self._await_outcome(creation, call)
                raise
            except SavedFailure:
                creation = self._write(creation, call, key_spent=True)
                continue
            except ProvisioningRefused:
                self._write(creation, call, key_spent=True, leased_until=None)
                raise
            except Unavailable:
                self._write(creation, call, leased_until=None)
                raise
            return self._done(creation, made, call)
        raise Unavailable("the billing provider keeps failing; trying again later")

    def _first(self, identifier: str, request: Request, call: CallContext) -> Creation:
        now = self._clock.now()
        creation = Creation(
            id=identifier,
            created_at=now,
            modified_at=now,
            request=request,
            key_used_at=now,
            leased_until=now + LEASE,
            tries=1,
        )
        transaction = begin(call, now)
        CREATIONS.create(transaction, creation)
        self._commit(transaction)
        return creation

    def _lease(self, creation: Creation, call: CallContext) -> Creation:
        now = self._clock.now()
        if creation.leased_until is not None and creation.leased_until > now:
            raise Unavailable("another attempt is under way", retry_after=(creation.leased_until - now).total_seconds())
        return self._write(creation, call, leased_until=now + LEASE, tries=creation.tries + 1)

    def _usable_key(self, creation: Creation, freeze: Callable[[], Request], call: CallContext) -> Creation:
        """The creation with a key that may be used now. Only called after the provider was asked, if that is due."""
        now = self._clock.now()
        if creation.key_spent or now - creation.key_used_at >= KEY_LIFE:
            return self._write(
                creation,
                call,
                request=freeze(),
                key_number=creation.key_number + 1,
                key_used_at=now,
                key_spent=False,
                leased_until=now + LEASE,
            )
        return creation

    def _await_outcome(self, creation: Creation, call: CallContext) -> None:
        """Lets the next attempt in at once: repeating the same key is safe while the call may still be under way.
        Close to the end of the key's life the lease stays, for the next attempt would take a new key."""
        if self._clock.now() - creation.key_used_at < KEY_LIFE - LEASE:
            self._write(creation, call, leased_until=None)

    def _done(self, creation: Creation, remote_id: str, call: CallContext) -> str:
        self._write(creation, call, remote_id=remote_id, leased_until=None)
        return remote_id

    def _write(self, creation: Creation, call: CallContext, **changes: object) -> Creation:
        now = self._clock.now()
        written = creation.revised(now, **changes)
        transaction = begin(call, now)
        CREATIONS.update(transaction, written)
        self._commit(transaction)
        return written

    def _commit(self, transaction: Transaction) -> None:
        try:
            self._table.commit(transaction)
        except ConditionFailed as error:
            raise Unavailable("another attempt was faster") from error
