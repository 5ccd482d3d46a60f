"""What people say to each other about an order: one's say stands as it was said, with its time and author (ORD-2)."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import AwareDatetime, BaseModel, ConfigDict

from revops.access import Policy, Resource
from revops.kernel import CallContext, Clock, Forbidden, IdFactory, Invalid, time_text
from revops.orders.policies.review import ReviewRules
from revops.orders.ports import CrmRecords
from revops.orders.store import ORDERS, order_key
from revops.settings import SettingsReader
from revops.table import ABSENT, CursorSigner, Key, Query, Row, Table, begin, merge_pages, present

COMMENT = "ORDER_COMMENT"
COUNT = "ORDER_COMMENTS"
LONGEST = 4000


class Comment(BaseModel):
    """One comment. `revision` is that of the form it was said about."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    id: str
    order_id: str
    revision: int
    at: AwareDatetime
    by: str
    text: str


@dataclass(frozen=True, slots=True)
class CommentPage:
    """A page of comments. `next_cursor` is empty at the end."""

    comments: list[Comment]
    next_cursor: str


def count_key(order_id: str) -> Key:
    """Where the number of an order's comments stands."""
    return Key(order_key(order_id).pk, "COMMENTS")


def count_comments(table: Table, order_id: str) -> int:
    """How many comments there are, strongly consistent."""
    row = table.get(count_key(order_id))
    return row.counters.get("comments", 0) if row else 0


class CommentOrders:
    """Adds comments and reads them. Whoever may read an order reads them; those who may change it or have a say in its
    review write them."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        ids: IdFactory,
        crm: CrmRecords,
        policy: Policy,
        settings: SettingsReader,
        cursors: Callable[[], CursorSigner],
    ) -> None:
        self._table = table
        self._clock = clock
        self._ids = ids
        self._crm = crm
        self._policy = policy
        self._settings = settings
        self._cursors = cursors

    def add(self, order_id: str, text: str, call: CallContext) -> Comment:
        """Raises NotFound, Forbidden, Invalid."""
        order = ORDERS.require(self._table, order_id)
        self._require_say(order_id, self._crm.account(order.account_id).owner_id, call)
        if not text.strip() or len(text) > LONGEST:
            raise Invalid.field("text", "length", "nothing said, or too much", f"1 to {LONGEST} characters")
        now = self._clock.now()
        said = Comment(
            id=self._ids.new("CMT"),
            order_id=order_id,
            revision=order.revision,
            at=now,
            by=call.principal.id,
            text=text.strip(),
        )
        transaction = begin(call, now)
        place = f"COMMENT#{time_text(now)}#{said.id}"
        row = Row(pk=order_key(order_id).pk, sk=place, kind=COMMENT, doc=said.model_dump_json())
        transaction.put(row, ABSENT)
        transaction.move(count_key(order_id), COUNT, {"comments": 1})
        self._table.commit(transaction)
        return said

    def list(self, order_id: str, limit: int, cursor: str, call: CallContext) -> CommentPage:
        """The latest first. Raises NotFound, and Invalid for a cursor of another list."""
        order = ORDERS.require(self._table, order_id)
        owner_id = self._crm.account(order.account_id).owner_id
        self._policy.require_read(call.principal, Resource.ORDERS, owner_id, f"order form {order_id}")
        binding = {"who": call.principal.id, "list": f"comments/{order_id}"}
        positions = self._cursors().open(cursor, binding) if cursor else {}
        query = Query(pk=order_key(order_id).pk, begins="COMMENT#", descending=True)
        rows, after = merge_pages(self._table, {"all": query}, positions, limit, lambda row: row.sk)
        found = present(self._table.get_many([row.key for row in rows]))
        comments = [Comment.model_validate_json(row.doc) for row in found]
        return CommentPage(comments, self._cursors().sign(after, binding) if after else "")

    def _require_say(self, order_id: str, owner_id: str, call: CallContext) -> None:
        principal = call.principal
        self._policy.require_read(principal, Resource.ORDERS, owner_id, f"order form {order_id}")
        reviews = principal.role in self._settings.read(ReviewRules).deciders
        reviews = reviews or self._policy.grant(principal, Resource.ORDERS).review
        if not reviews and not self._policy.writes(principal, Resource.ORDERS, owner_id):
            raise Forbidden(f"a {principal.role.value} may read this but not comment on it")
