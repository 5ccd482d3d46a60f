"""The data layer against the boto3 client with flat attributes, domain object to domain object, on the same engine."""

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from revops.crm.model import Lead
from revops.crm.store import LEADS
from revops.kernel import CallContext, Principal, RandomIds, Role
from revops.table import ABSENT, Entity, EntityKind, Key, Query, Table, begin
from tests.bench.measure import Row, cpu, side_by_side
from tests.bench.sample import NOW, Leads
from tests.builders.dynoxide import REGION, DynoxideServer

ROUNDS = 7
CALL = CallContext(Principal("user-1", Role.ADMIN), request_id="req-1", ip="203.0.113.9", user_agent="bench")


class PlainLead(Entity):
    """The 20-field lead of the design's own measurement: texts, numbers and a flag, nothing nested."""

    first_name: str
    last_name: str
    company: str
    email: str
    phone: str
    country: str
    source: str
    campaign: str
    owner_id: str
    status: str
    stage: str
    score: int
    gdpr_consent: bool
    job_title: str
    company_size: str
    industry: str


def _key(identifier: str) -> Key:
    return Key(f"LEAD#{identifier}", "LEAD")


def _index(lead: Any) -> dict[str, tuple[str, str]]:
    return {"gsi1": (f"LEADS#OWNER#{lead.owner_id}", f"{lead.created_at.isoformat()}#{lead.id}")}


class FlatBoto3:
    """What a competent user writes: one client, one serialiser, an attribute per field, pydantic at the edge."""

    def __init__(self, endpoint_url: str, table_name: str, model: type[Entity]) -> None:
        self._client = boto3.client(
            "dynamodb",
            region_name=REGION,
            endpoint_url=endpoint_url,
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        self._table = table_name
        self._model = model
        self._serialize = TypeSerializer().serialize
        self._deserialize = TypeDeserializer().deserialize

    def item(self, entity: Any, pk: str) -> dict[str, Any]:
        fields = entity.model_dump(mode="json", exclude_none=True)
        flat = {name: self._serialize(_decimals(value)) for name, value in fields.items()}
        owner, created = _index(entity)["gsi1"]
        flat |= {"pk": {"S": pk}, "sk": {"S": "LEAD"}, "g1pk": {"S": owner}, "g1sk": {"S": created}}
        flat |= {"at": {"S": NOW.isoformat()}, "by": {"S": "user-1"}, "ip": {"S": "203.0.113.9"}, "rid": {"S": "req-1"}}
        return flat

    def entity(self, item: dict[str, Any]) -> Entity:
        return self._model.model_validate({name: self._deserialize(value) for name, value in item.items()})

    def put(self, entity: Any, pk: str = "") -> None:
        pk = pk or f"FLAT#{entity.id}"
        self._client.put_item(
            TableName=self._table, Item=self.item(entity, pk), ConditionExpression="attribute_not_exists(pk)"
        )

    def get(self, pk: str) -> Entity:
        key: Any = {"pk": {"S": pk}, "sk": {"S": "LEAD"}}
        return self.entity(self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)["Item"])

    def transact(self, entity: Any) -> None:
        pk = f"FLAT#{entity.id}"
        absent = {"TableName": self._table, "ConditionExpression": "attribute_not_exists(pk)"}
        beside = [{"pk": {"S": f"{pk}#{name}"}, "sk": {"S": name}, "holder": {"S": entity.id}} for name in ("a", "b")]
        items: Any = [{"Put": {**absent, "Item": item}} for item in (self.item(entity, pk), *beside)]
        self._client.transact_write_items(TransactItems=items)

    def query(self, pk: str) -> list[Entity]:
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
            Limit=25,
        )
        return [self.entity(item) for item in answer["Items"]]


def _decimals(value: Any) -> Any:
    """boto3's serialiser takes no floats."""
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, dict):
        return {name: _decimals(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_decimals(each) for each in value]
    return value


class Ours[T: Entity]:
    """The same through the table."""

    def __init__(self, table: Table, kind: EntityKind[T]) -> None:
        self._table = table
        self._kind = kind

    def put(self, entity: T) -> None:
        transaction = begin(CALL, NOW)
        self._kind.create(transaction, entity)
        self._table.commit(transaction)

    def transact(self, entity: T) -> None:
        transaction = begin(CALL, NOW)
        self._kind.create(transaction, entity)
        for name in ("a", "b"):
            row = self._kind.row(entity)
            row.pk, row.sk, row.doc, row.index = f"{row.pk}#{name}", name, f'{{"holder":"{entity.id}"}}', {}
            transaction.put(row, ABSENT)
        self._table.commit(transaction)

    def get(self, identifier: str) -> T:
        return self._kind.require(self._table, identifier)

    def query(self, pk: str) -> list[T]:
        return self._kind.load_all(self._table.query(Query(pk=pk, limit=25)).rows)


def rows(engine: DynoxideServer, seed: int) -> list[Row]:
    """CPU of this process per operation (the engine is another process), ours over boto3's.

    Each operation starts and ends with the domain object: a frozen pydantic entity of 20 fields. A put is
    conditional on both sides; ours is always a transaction (of one, which is all this table knows), boto3's is
    PutItem. The transaction has three items, the query 25. The comparison is boto3's client with default settings,
    TypeSerializer and TypeDeserializer, an attribute per field. The second group is the product's own lead, with its
    score card, consents and attribution. Alternating rounds of some hundred operations each.
    """
    plain = EntityKind[PlainLead](kind="LEAD", title="lead", model=PlainLead, key=_key, index=_index)
    stream = Leads(seed)
    leads = [stream.lead(number) for number in range(25)]
    return [
        *_group("20-field lead", engine, plain, [_plain(lead) for lead in leads], seed, 1.10, 0.75),
        *_group("whole lead", engine, LEADS, leads, seed, None, None),
    ]


def _plain(lead: Lead) -> PlainLead:
    fields = {name: getattr(lead, name) for name in PlainLead.model_fields if hasattr(lead, name)}
    return PlainLead.model_validate(fields | {"source": lead.attribution.source, "campaign": lead.attribution.campaign})


def _group[T: Entity](
    what: str,
    engine: DynoxideServer,
    kind: EntityKind[T],
    entities: list[T],
    seed: int,
    budget: float | None,
    query_budget: float | None,
) -> list[Row]:
    table = engine.create_table()
    ours = Ours(table, kind)
    flat = FlatBoto3(engine.endpoint_url, table.name, kind.model)
    ids = RandomIds(random.Random(seed + 7).getrandbits)
    entity = entities[0]

    def fresh() -> T:
        return entity.model_copy(update={"id": ids.new("LEAD")})

    ours.put(entity)
    flat.put(entity, "FLAT#1")
    for number, each in enumerate(entities):
        transaction = begin(CALL, NOW)
        row = kind.row(each)
        row.pk, row.sk = "LIST#ours", f"{number:04d}"
        transaction.put(row, ABSENT)
        table.commit(transaction)
        engine.client().put_item(
            TableName=table.name, Item={**flat.item(each, "LIST#flat"), "sk": {"S": f"{number:04d}"}}
        )
    assert len(ours.query("LIST#ours")) == len(flat.query("LIST#flat")) == len(entities)
    assert flat.get("FLAT#1") == ours.get(entity.id)
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object], int]] = {
        "put": (lambda: ours.put(fresh()), lambda: flat.put(fresh()), 100),
        "get": (lambda: ours.get(entity.id), lambda: flat.get("FLAT#1"), 150),
        "transaction of 3": (
            lambda: ours.transact(fresh()),
            lambda: flat.transact(fresh()),
            100,
        ),
        "25-item query": (lambda: ours.query("LIST#ours"), lambda: flat.query("LIST#flat"), 40),
    }
    result = []
    for name, (mine, theirs, times) in pairs.items():
        pair = side_by_side(mine, theirs, rounds=ROUNDS, times=times, clock=cpu)
        limit = query_budget if name == "25-item query" else budget
        result.append(pair.row(f"data layer CPU per {name}, {what}, over boto3", limit))
    engine.drop_table(table)
    return result
