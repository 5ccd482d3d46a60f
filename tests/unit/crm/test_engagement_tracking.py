"""Opens and clicks: which are a person's, which are a machine's, and how a scanner's are taken back."""

import random
from datetime import datetime, timedelta

import pytest

from revops.crm.engagement import RecordEngagement
from revops.crm.model import Lead
from revops.crm.policies.machines import CLICK, OPEN, Act, EngagementRules, Fetch, burst_reason, machine_reason
from revops.crm.store import LEADS
from revops.crm.tracking import TRACES, Sight, Trace, TrackMessage, traces_of
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Transaction
from tests.builders.clock import ManualClock
from tests.builders.engagement import CHROME, GMAIL, LEAD, MESSAGE, PUBLIC, click_claim, fetch, place_lead
from tests.builders.memory_table import MemoryTable

NOW = ManualClock().now()
HOUR_AGO = NOW - timedelta(hours=1)


def reason(act: Act, seen: Fetch, made_at: datetime = HOUR_AGO, now: datetime = NOW) -> str:
    return machine_reason(act, seen, made_at, now, EngagementRules())


class Bench:
    def __init__(self) -> None:
        self.table, self.clock = MemoryTable(), ManualClock()
        place_lead(self.table, self.clock)
        self.record = RecordEngagement(self.table, self.clock, sleep=lambda _: None)
        self.track = TrackMessage(self.table, self.clock, SettingsReader(self.table, ttl=0), self.record)

    def open(self, seen: Fetch | None = None, minutes: float = 60) -> Sight:
        return self.track.opened(click_claim(self.clock, minutes=minutes), seen or fetch(), PUBLIC)

    def click(self, link: str = "a", seen: Fetch | None = None, minutes: float = 60) -> Sight:
        claim = click_claim(self.clock, f"https://www.example.com/{link}", minutes)
        return self.track.clicked(claim, seen or fetch(), PUBLIC)

    @property
    def lead(self) -> Lead:
        return LEADS.require(self.table, LEAD)

    @property
    def counted(self) -> list[str]:
        return [done.event for done in self.lead.engagement]

    @property
    def trace(self) -> Trace:
        return TRACES.require(self.table, f"{LEAD}/{MESSAGE}")


# ── who it was ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("LEAD-5")
@pytest.mark.parametrize("act", [OPEN, CLICK])
def test_a_person_s_browser_counts(act: Act) -> None:
    assert reason(act, fetch()) == ""


def test_gmails_proxy_loads_when_the_message_is_shown_and_counts() -> None:
    assert reason(OPEN, fetch(GMAIL)) == ""
    assert "sooner" in reason(OPEN, fetch(GMAIL), NOW - timedelta(seconds=1))


@pytest.mark.parametrize("agent", ["Mozilla/5.0", "mozilla/5.0 "])
def test_apples_privacy_protection_opens_nothing_and_its_owner_clicks(agent: str) -> None:
    assert "Apple" in reason(OPEN, fetch(agent))
    assert reason(CLICK, fetch(agent)) == ""


@pytest.mark.parametrize("act", [OPEN, CLICK])
@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 "
        "Safari/537.36 Edge/12.246 Mozilla/5.0",
        "Mozilla/5.0 Gmail-content-sampling", "BarracudaCentral/1.0", "Proofpoint URL Defense", "Mimecast-Scanner",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "facebookexternalhit/1.1", "curl/8.5.0",
        "python-requests/2.32", "Mozilla/5.0 HeadlessChrome/120", "WhatsApp/2.24", "SOPHOS email security",
    ],
)  # fmt: skip
def test_machines_that_name_themselves_count_nothing(act: Act, agent: str) -> None:
    assert reason(act, fetch(agent)).startswith("fetched by a machine")


@pytest.mark.parametrize("method", ["HEAD", "head", "OPTIONS", "POST"])
def test_another_method_than_get_looks_and_does_not_open(method: str) -> None:
    assert "request looks" in reason(OPEN, fetch(method=method))
    assert "request looks" in reason(CLICK, fetch(method=method))


@pytest.mark.parametrize("agent", ["", "   "])
def test_who_gives_no_user_agent_is_no_person(agent: str) -> None:
    assert reason(OPEN, fetch(agent)) == "no user agent"


@pytest.mark.parametrize(
    "headers",
    [{"sec_purpose": "prefetch;prerender"}, {"purpose": "prefetch"}, {"x_purpose": "preview"}, {"x_moz": "Prefetch"}],
)
def test_what_is_loaded_ahead_counts_nothing(headers: dict[str, str]) -> None:
    assert reason(CLICK, fetch(CHROME, **headers)).startswith("loaded ahead")


@pytest.mark.parametrize(("act", "seconds"), [(OPEN, 3.0), (CLICK, 5.0)])
def test_nobody_reads_that_fast(act: Act, seconds: float) -> None:
    assert "sooner" in reason(act, fetch(), NOW - timedelta(seconds=seconds - 0.1))
    assert reason(act, fetch(), NOW - timedelta(seconds=seconds)) == ""


def test_an_old_message_counts_no_more() -> None:
    assert reason(OPEN, fetch(), NOW - timedelta(days=90)) == ""
    assert "later than 90 days" in reason(OPEN, fetch(), NOW - timedelta(days=90, seconds=1))


def test_the_rules_are_data() -> None:
    rules = EngagementRules.model_validate(
        {"machines": [{"name": "our own checker", "has": ["chrome/142"]}], "open_after_seconds": 0}
    )
    assert machine_reason(OPEN, fetch(), NOW, NOW, rules) == "fetched by a machine: our own checker"
    assert machine_reason(OPEN, fetch("curl/8"), NOW, NOW, rules) == ""


def test_many_links_close_together_are_a_scanners() -> None:
    rules, seconds = EngagementRules(), timedelta(seconds=1)
    assert burst_reason(NOW, [NOW - 4 * seconds, NOW - 9 * seconds, NOW], rules)
    assert not burst_reason(NOW, [NOW - 4 * seconds, NOW - 11 * seconds, NOW], rules)
    assert not burst_reason(NOW, [NOW, NOW], rules)


# ── what is made of it ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("LEAD-5", "LEAD-3")
def test_an_open_and_a_click_count_once_each() -> None:
    bench = Bench()
    assert [bench.open(), bench.open(fetch(GMAIL))] == [Sight(counted=True), Sight(counted=False)]
    assert [bench.click("a"), bench.click("b")] == [Sight(counted=True), Sight(counted=False)]
    assert bench.counted == [OPEN, CLICK]


def test_what_is_not_counted_is_kept_with_its_reason_and_nothing_of_the_fetcher() -> None:
    bench = Bench()
    for _ in range(3):
        assert not bench.open(fetch("Mozilla/5.0")).counted
        assert not bench.click("a", fetch(method="HEAD")).counted
    assert bench.counted == []
    assert [(each.event, each.reason) for each in bench.trace.uncounted] == [
        (OPEN, "fetched by a machine: Apple Mail Privacy Protection"),
        (CLICK, "a HEAD request looks and does not open"),
    ]
    assert bench.trace.version == 2, "a machine that comes back is not written again"
    [row] = [row for row in bench.table.rows.values() if row.kind == TRACES.kind]
    assert "Mozilla" not in row.doc
    assert "203.0.113" not in row.doc
    assert traces_of(bench.table, LEAD) == [bench.trace]


def test_what_apple_loaded_ahead_does_not_keep_the_person_s_open_from_counting() -> None:
    bench = Bench()
    bench.open(fetch("Mozilla/5.0"))
    assert bench.open().counted


def test_a_scanner_that_follows_every_link_is_found_out_and_all_of_it_taken_back() -> None:
    bench = Bench()
    bench.open()
    assert bench.click("a").counted
    bench.clock.advance(seconds=1)
    assert not bench.click("b").reason
    bench.clock.advance(seconds=1)
    sight = bench.click("c")
    assert (sight.counted, sight.reason) == (False, "3 links of the message or more within 10 s")
    assert bench.counted == [], "its open went with it"
    bench.clock.advance(seconds=2)
    assert not bench.click("a").counted, "the scanner is still at it"
    bench.clock.advance(minutes=10)
    assert bench.click("b").counted, "now it is the person"
    assert bench.counted == [CLICK]


def test_an_open_long_before_the_scanner_stays() -> None:
    bench = Bench()
    bench.open()
    bench.clock.advance(minutes=5)
    for link in "abc":
        bench.click(link)
    assert bench.counted == [OPEN]


def test_a_person_who_follows_one_link_after_another_counts() -> None:
    bench = Bench()
    for link in "abcdef":
        assert not bench.click(link).reason
        bench.clock.advance(seconds=6)
    assert bench.counted == [CLICK]


def test_the_trace_is_bounded() -> None:
    bench = Bench()
    for n in range(40):
        bench.click(f"link-{n}")
        bench.clock.advance(minutes=1)
        bench.open(fetch(method=f"M{n}"))
    assert len(bench.trace.clicks) == 20
    assert len(bench.trace.uncounted) == 20


@pytest.mark.fault("R6", "R19")
@pytest.mark.parametrize("seed", range(40))
def test_clicks_of_a_scanner_at_the_same_time_are_all_taken_back(seed: int) -> None:
    """Before each commit, one of the scanner's other clicks may come in between, whole."""
    bench, rng = Bench(), random.Random(seed)
    waiting = list("abcd")
    rng.shuffle(waiting)
    lost: list[Exception] = []

    def overtaken(_: Transaction) -> None:
        if waiting and rng.random() < 0.6:
            bench.clock.advance(seconds=rng.random())
            bench.click(waiting.pop())

    bench.table.before_commit = overtaken
    while waiting:
        try:
            bench.click(waiting.pop())
        except ConditionFailed as error:
            lost.append(error)
    assert not lost
    assert bench.counted == []
    assert len(bench.trace.clicks) == 4
