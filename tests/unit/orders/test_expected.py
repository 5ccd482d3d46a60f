"""What stands at the billing provider for an order's terms: a pure function of them (ORD-5)."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from revops.kernel import Refused
from revops.orders.model import BillingCycle, Meter, OrderStatus, OrderTerms
from revops.orders.policies.calendar import ContractZones, opening
from revops.orders.policies.collection import BankTransfer, Collection, CollectionTerms, TaxRule, uncollectable
from revops.orders.policies.expected import expected_subscription
from revops.orders.policies.pricing import PlanCatalogue, SeatPrice, UsagePrice, price_of
from tests.builders.orders import Desk, submission

pytestmark = pytest.mark.mission("ORD-5")

CATALOGUE = PlanCatalogue()


def terms(**changes: Any) -> OrderTerms:
    form = submission(**changes)
    agreed = {
        name: getattr(form, name) for name in OrderTerms.model_fields if name not in {"list_price", "renewal_date"}
    }
    return OrderTerms(
        **agreed,
        list_price=5900 if form.list_price is None else form.list_price,
        renewal_date=form.renewal_date or date(2027, 11, 20),
    )


def test_seats_and_a_metered_price_for_each_usage_line() -> None:
    usage = [
        {"meter": "API Calls", "monthly_cap": 100_000, "overage_price": "0.000125"},
        {"meter": "Signatures", "monthly_cap": 0, "overage_price": "0.9"},
    ]
    expected = expected_subscription(terms(usage=usage, discount_percent="7.5", billing_cycle="Annual"), CATALOGUE)
    assert dict(expected.items) == {
        "revops:revops_professional:seat:eur:annual:65490": 25,
        "revops:usage_revops_api_calls:usage:eur:100000:0.0125": None,
        "revops:usage_revops_signatures:usage:eur:0:90": None,
    }
    assert [price.lookup_key for price in expected.prices] == list(expected.items)


def test_a_price_per_unit_keeps_twelve_decimals_and_knows_its_currency_s_minor_unit() -> None:
    usage = [{"meter": "Pooled", "monthly_cap": 1, "overage_price": "0.000000000001"}]
    assert expected_subscription(terms(usage=usage), CATALOGUE).usage[0].unit_amount == "0.0000000001"
    yen = expected_subscription(terms(usage=usage, currency="JPY"), CATALOGUE)
    assert yen.usage[0].unit_amount == "0.000000000001"


def test_a_lookup_key_says_all_there_is_to_a_price() -> None:
    expected = expected_subscription(terms(), CATALOGUE)
    for price in expected.prices:
        meant = price_of(price.lookup_key, {"usage_revops_units": "revops_units"})
        assert meant is not None
        assert meant.lookup_key == price.lookup_key
        assert meant.model_dump(exclude={"product_name"}) == price.model_dump(exclude={"product_name"})
    assert isinstance(price_of("revops:p:seat:eur:monthly:1", {}), SeatPrice)
    assert isinstance(price_of("revops:p:usage:eur:7:1", {"p": "e"}), UsagePrice)
    for foreign in ("", "other", "revops:p:seat:eur:weekly:1", "revops:p:usage:eur:7:1", "revops:p:usage:eur:x:1"):
        assert price_of(foreign, {"q": "e"}) is None


@pytest.mark.parametrize(
    ("method", "currency", "country", "collection", "types", "transfer"),
    [
        ("Credit Card", "EUR", "DE", Collection.AUTOMATIC, ("card",), None),
        ("ACH", "USD", "US", Collection.AUTOMATIC, ("us_bank_account",), None),
        ("Invoice", "EUR", "DE", Collection.INVOICE, (), None),
        (
            "Wire Transfer",
            "EUR",
            "NL",
            Collection.INVOICE,
            ("customer_balance",),
            BankTransfer("eu_bank_transfer", "NL"),
        ),
        (
            "Wire Transfer",
            "EUR",
            "PL",
            Collection.INVOICE,
            ("customer_balance",),
            BankTransfer("eu_bank_transfer", "IE"),
        ),
        ("Wire Transfer", "GBP", "GB", Collection.INVOICE, ("customer_balance",), BankTransfer("gb_bank_transfer")),
        ("Wire Transfer", "USD", "DE", Collection.INVOICE, ("customer_balance",), BankTransfer("us_bank_transfer")),
    ],
)
def test_every_way_to_pay(
    method: str, currency: str, country: str, collection: Collection, types: tuple[str, ...], transfer: BankTransfer
) -> None:
    address = {"line1": "Street 1", "city": "Town", "country": country}
    expected = expected_subscription(
        terms(payment_method=method, currency=currency, billing_address=address), CATALOGUE
    )
    assert (expected.collection, expected.payment_types, expected.transfer) == (collection, types, transfer)


@pytest.mark.parametrize(("method", "currency"), [("Wire Transfer", "BRL"), ("ACH", "EUR")])
def test_a_way_to_pay_that_does_not_exist_is_told_at_review_with_what_to_choose(method: str, currency: str) -> None:
    wrong = terms(payment_method=method, currency=currency)
    assert "choose" in uncollectable(wrong, CATALOGUE.collection)
    desk = Desk()
    prices = {"BRL": 29_900, "EUR": 5900}
    order = desk.submitted(payment_method=method, currency=currency, list_price=prices[currency], spend_cap=None)
    found = desk.run_until_it_waits(order.id)
    assert found.status is OrderStatus.IN_REVIEW
    told = {finding.rule: finding.message for finding in found.review.findings}
    assert "choose" in told["collectable"]


@pytest.mark.parametrize(
    ("country", "region", "zone"),
    [
        ("DE", "EU", "Europe/Berlin"),
        ("EE", "EU", "Europe/Brussels"),
        ("GB", "UK", "Europe/London"),
        ("US", "US", "America/New_York"),
        ("BR", "BR", "America/Sao_Paulo"),
    ],
)
def test_days_are_counted_where_the_customer_is(country: str, region: str, zone: str) -> None:
    address = {"line1": "Street 1", "city": "Town", "country": country}
    agreed = terms(billing_address=address, region=region, start_date="2027-07-01", auto_renewal=False)
    expected = expected_subscription(agreed, CATALOGUE)
    assert expected.zone == zone
    assert (expected.starts_at, expected.ends_at) == (
        opening(date(2027, 7, 1), zone),
        opening(agreed.renewal_date, zone),
    )
    assert datetime.fromtimestamp(expected.starts_at, UTC).date() == date(2027, 7, 1)


def test_tax_and_days_to_pay_are_data() -> None:
    collection = CollectionTerms.model_validate({"days_until_due": 14, "tax": {"EU": {"automatic": True}}})
    catalogue = CATALOGUE.model_copy(update={"collection": collection})
    expected = expected_subscription(terms(), catalogue)
    assert (expected.automatic_tax, expected.days_until_due) == (True, 14)
    assert expected_subscription(terms(region="US"), catalogue).automatic_tax is False
    assert collection.tax_of(terms(region="UK").region) == TaxRule()


def test_a_meter_that_is_not_in_the_catalogue_is_refused() -> None:
    catalogue = CATALOGUE.model_copy(update={"meters": {Meter.API_CALLS: CATALOGUE.meters[Meter.API_CALLS]}})
    with pytest.raises(Refused, match="no meter for Pooled"):
        expected_subscription(terms(), catalogue)


def test_a_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="Europe/Atlantis"):
        ContractZones.model_validate({"countries": {"DE": "Europe/Atlantis"}})


def test_nothing_said_about_renewal_is_no_end() -> None:
    assert expected_subscription(terms(auto_renewal=True), CATALOGUE).ends_at == 0
    assert BillingCycle.MONTHLY.months == 1
