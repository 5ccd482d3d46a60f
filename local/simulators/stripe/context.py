"""What a resource handler works with: objects, the time, new ids and the events its call causes."""

import copy
import secrets
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from local.simulators.common import Store
from local.simulators.stripe.errors import missing, parameter_missing
from local.simulators.stripe.forms import Params

type Object = dict[str, Any]
type Handler = Callable[..., Any]

SEARCHED = {"subscription", "customer", "invoice", "price", "product", "payment_intent", "charge"}

_ALPHABET = string.ascii_letters + string.digits
_SEARCH_VERSIONS = 5
_OWNERS = ("customer", "invoice", "charge", "payment_intent", "subscription")

TEST_CLOCK = "test_helpers.test_clock"


@dataclass
class Emission:
    """An event that a call causes; its object is copied when it is emitted."""

    type: str
    object: Object
    previous: Object | None
    at: int


class Context:
    """One call's view of the simulator's state. `now` is the time of what it is about, in seconds: the vendor's, or
    that of a test clock where the customer lives by one. What a `dry` call does is undone after it is answered."""

    def __init__(self, store: Store, now: int, config: dict[str, Any]) -> None:
        self.store = store
        self.now = now
        self.vendor_now = now
        self.clock_id: str | None = None
        self.config = config
        self.emitted: list[Emission] = []
        self.dry = False

    def live_by(self, clock: Object) -> None:
        """From here on the time is that of a test clock."""
        self.clock_id, self.now = clock["id"], clock["frozen_time"]

    @contextmanager
    def by(self, clock: Object) -> Iterator[None]:
        """For a while the time is that of a test clock."""
        own = self.clock_id, self.now
        self.live_by(clock)
        try:
            yield
        finally:
            self.clock_id, self.now = own

    def clock_of(self, object_: Object) -> str | None:
        """The id of the test clock an object lives by: its own field, or that of whom it belongs to."""
        held = object_.get("_was", object_)
        if "test_clock" in held:
            clock: str | None = held["test_clock"]
            return clock
        owner = next((found for kind in _OWNERS if (found := self.find(kind, held.get(kind)))), None)
        return self.clock_of(owner) if owner else None

    def new_id(self, prefix: str) -> str:
        """An unguessable id with Stripe's prefix."""
        return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(24))

    def find(self, kind: str, id_: str | None) -> Object | None:
        """The live object, or None."""
        return self.store.get(kind, id_) if id_ else None

    def get(self, kind: str, id_: str, param: str = "id") -> Object:
        """The live object; StripeError 404 where there is none."""
        found = self.find(kind, id_)
        if found is None or (kind == "customer" and found.get("deleted") and param == "customer"):
            raise missing(kind.split(".")[-1], id_, param)
        return found

    def party(self, customer_id: str) -> Object:
        """The customer of an invoice or subscription as it is, or as it was before it was deleted."""
        found = self.get("customer", customer_id)
        was: Object = found.get("_was", found)
        return was

    def save(self, object_: Object) -> Object:
        """Keep an object; what search can see of it follows with the search lag."""
        kind, id_ = object_["object"], object_["id"]
        self.store.put(kind, id_, object_)
        if kind in SEARCHED:
            versions: list[Any] = (self.store.get("_search", id_) or {"versions": []})["versions"]
            entry = [self.vendor_now if self.clock_id else self.now, public(object_)]
            self.store.put("_search", id_, {"versions": [*versions, entry][-_SEARCH_VERSIONS:]})
        return object_

    def all(self, kind: str) -> list[Object]:
        """Every object of a kind, oldest first."""
        return self.store.all(kind)

    def emit(self, type_: str, object_: Object, previous: Object | None = None, *, first: bool = False) -> None:
        """Note an event with the object as it is now; `first` puts it before what the call emitted so far."""
        emission = Emission(type_, public(object_), previous, self.now)
        self.emitted.insert(0 if first else len(self.emitted), emission)


def public(object_: Any) -> Any:
    """A copy without what only the simulator knows (keys that begin with an underscore)."""
    if isinstance(object_, dict):
        return {key: public(value) for key, value in object_.items() if not key.startswith("_")}
    if isinstance(object_, list):
        return [public(item) for item in object_]
    return object_


def changed(before: Object, after: Object) -> Object:
    """`previous_attributes` of an update: the old values of what changed."""
    return {key: before.get(key) for key in {**before, **after} if before.get(key) != after.get(key)}


def snapshot(object_: Object) -> Object:
    """The public state to compare with later."""
    return copy.deepcopy(public(object_))


def merge_metadata(held: dict[str, str], sent: Any) -> dict[str, str]:
    """Metadata after an update: sent keys win, empty values remove, an empty text removes all."""
    if sent is None:
        return held
    if sent == "":
        return {}
    return {key: value for key, value in {**held, **sent}.items() if value != ""}


def required(params: Params, name: str) -> Any:
    """A parameter the operation cannot do without; StripeError 400 otherwise."""
    if params.get(name) in (None, ""):
        raise parameter_missing(name)
    return params[name]


class Routes:
    """The table of operations: `@routes("POST", "/v1/customers/{customer}")` above a handler."""

    def __init__(self) -> None:
        self.table: list[tuple[str, list[str], Handler]] = []

    def __call__(self, method: str, path: str) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            self.table.append((method, path.strip("/").split("/"), handler))
            return handler

        return add

    def match(self, method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
        """The handler for a path and its path parameters; fixed steps win over parameters."""
        steps = path.strip("/").split("/")
        best: tuple[int, Handler, dict[str, str]] | None = None
        for verb, pattern, handler in self.table:
            if verb != method or len(pattern) != len(steps):
                continue
            found = {p[1:-1]: s for p, s in zip(pattern, steps, strict=True) if p.startswith("{")}
            if any(not p.startswith("{") and p != s for p, s in zip(pattern, steps, strict=True)):
                continue
            if best is None or len(found) < best[0]:
                best = len(found), handler, found
        return (best[1], best[2]) if best else None


routes = Routes()
