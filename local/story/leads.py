"""From first touch to a deal: seven channels in, a ranked and explained list, nurture, qualification, conversion."""

import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

from local.aws import client
from local.story.teller import StoryFailed, Teller, clock, name_of, points, require

_CONSENT = [{"channel": "email", "purpose": "marketing", "granted": True, "wording_version": "2026-03"}]
_ORIGIN = {"source": "Trade fair", "campaign": "autumn", "medium": "event", "term": "crm"}
_MET = {"state": "met"}


def tell_leads(teller: Teller, run: str) -> dict[str, Any]:
    """Tells it; the partner's lead, worked on, goes on to an order."""
    lead = _first_touch(teller, run)
    ways = {lead["id"]: "partner", _one_person_many_forms(teller, run): "website"}
    ways |= _more_ways_in(teller, run)
    lead = _worked(teller, lead, ways)
    _nurtured(teller, lead)
    _looks_like_another(teller, lead, run)
    _converted_and_back(teller, run)
    now: dict[str, Any] = teller.ok("GET", f"/api/v1/leads/{lead['id']}", user="sdr")
    return now


def _first_touch(teller: Teller, run: str) -> dict[str, Any]:
    body = {
        "first_name": "राहुल",
        "last_name": "पाटील",
        "company": f"Nordlicht {run} GmbH",
        "email": f"rahul@nordlicht-{run}.example",
        "phone": f"+4930{uuid.uuid4().int % 10**7:07d}",
        "country": "Germany",
        "company_size": "50–100",
        "industry": "Software",
        "budget_range": "10k-50k",
        "timeline": "0-3 months",
        "job_title": "Head of Operations",
        "consent": [{"channel": "email", "purpose": "marketing", "granted": True, "wording_version": "2026-03"}],
        "attribution": {"source": "Partner One", "campaign": "autumn", "medium": "referral", "term": "crm"},
    }
    key = {"Idempotency-Key": f"story-{run}"}
    with teller.step("A partner hands in a lead") as say:
        post = {"key": "partner_api_key", "json": body, "headers": key}
        lead: dict[str, Any] = teller.ok("POST", "/api/v1/partner/leads", expect=201, **post)
        say(f"{lead['id']} · {lead['first_name']} {lead['last_name']} at {lead['company']}")
        say(f"owner {name_of(teller, lead['owner_id'])} ({lead['assigned_by']})")
        say(f"score {lead['score']} = " + " + ".join(points(lead)))
        again = teller.ok("POST", "/api/v1/partner/leads", expect=201, **post)
        require(again["id"] == lead["id"], "the same key must give the same lead")
        say("the same key again: the same lead")
    return lead


def _one_person_many_forms(teller: Teller, run: str) -> str:
    """The lead's id."""
    email = f"eva@fjord-{run}.example"
    body = {
        "first_name": "Eva",
        "last_name": "Ek",
        "company": "Fjord AS",
        "email": email,
        "phone": "+47 22 12 34 56",
        "country": "NO",
        "consent": [{"channel": "email", "granted": False}],
        "favourite_colour": "blue",
    }
    with teller.step("Sixteen impatient clicks on the website form, at once") as say:
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: teller.call("POST", "/api/v1/leads", json=body), range(16)))
        require({answer.status_code for answer in answers} == {202}, "the form must always answer 202")
        receipts = {answer.json()["receipt"] for answer in answers}
        teller.until("the lead of the form", lambda: _by_email(teller, email))
        found = _by_email(teller, email)
        require(len(found) == 1, "sixteen submissions of one person must make one lead")
        say(f"16 × 202 with {len(receipts)} receipts that tell nothing; one lead {found[0]['id']}")
        say(f"attribution derived: {found[0]['attribution']['source']}; unknown field kept: {found[0]['metadata']}")
    return str(found[0]["id"])


def _more_ways_in(teller: Teller, run: str) -> dict[str, str]:
    """WhatsApp, a call, a mail, a webinar, a list; the website and the partner were before. Lead → way."""
    made: dict[str, str] = {}
    number = f"+49151{uuid.uuid4().int % 10**8:08d}"
    caller = f"+49151{uuid.uuid4().int % 10**8:08d}"
    with teller.step("They also write, call, mail, come to a webinar and stand on a list: one pipeline") as say:
        said = {"text": {"body": "What does it cost?"}, "name": "Mira Holm"}
        teller.simulator("whatsapp", "POST", f"/_sim/people/{number.lstrip('+')}/messages", json=said)
        call = {"from": caller, "to": "+493090182000", "name": "Ben Okoye", "seconds": 42}
        teller.simulator("twilio", "POST", "/_sim/calls", json=call)
        _mails(teller, f"Chloé Dubois <chloe@atelier-{run}.example>", run)
        teller.ok(
            "POST",
            f"/api/v1/webinars/crm-basics-{run}/attendees",
            key="partner_api_key",
            json={
                "attribution": _ORIGIN,
                "consent": _CONSENT,
                "attendees": [_person("Dana", f"dana@webinar-{run}.example") | {"presence": "attended"}],
            },
        )
        report = _imported(teller, run)
        say(f"import: {report['rows_read']} rows: {_verdicts(report)}")
        ways: tuple[tuple[str, Callable[[], list[dict[str, Any]]]], ...] = (
            ("WhatsApp", lambda: _by_phone(teller, number)),
            ("call", lambda: _by_phone(teller, caller)),
            ("mail", lambda: _by_email(teller, f"chloe@atelier-{run}.example")),
            ("webinar", lambda: _by_email(teller, f"dana@webinar-{run}.example")),
            *(("import", lambda one=one: _by_email(teller, f"{one}@list-{run}.example")) for one in ("erik", "frida")),
        )
        for way, look in ways:
            (lead,) = teller.until(f"the lead of the {way}", look)
            origin = lead["attribution"]
            derived = " (derived)" if origin["derived"] else ""
            say(f"{way:<9}{lead['id']} · {origin['source']}{derived} · owner {name_of(teller, lead['owner_id'])}")
            made[lead["id"]] = way
    return made


def _person(first: str, email: str) -> dict[str, Any]:
    surname = "".join(chr(ord("a") + int(digit, 16)) for digit in uuid.uuid4().hex[:9]).title()
    return {
        "first_name": first,
        "last_name": surname,  # of nobody in an earlier telling, whom she would be taken for
        "company": f"{surname} Werke GmbH",
        "email": email,
        "phone": f"+4930{uuid.uuid4().int % 10**7:07d}",
        "country": "DE",
    }


def _mails(teller: Teller, sender: str, run: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, "sales@example.com", "Une question"
    message["Message-ID"] = f"<story-{run}@atelier.example>"
    message.set_content("Bonjour, pourriez-vous me rappeler ?")
    bucket = teller.stack["resources"]["MailBucketName"]
    client(teller.stack, "s3").put_object(Bucket=bucket, Key=f"story-{run}", Body=message.as_bytes())


def _imported(teller: Teller, run: str) -> dict[str, Any]:
    """A list of three rows, one of which breaks a rule; how it ended."""
    rows = (
        "First name,Last name,Company,E-mail,Phone,Country",
        f"Erik,Sand,Sand AB,erik@list-{run}.example,,SE",
        f"Frida,Berg,Berg AB,frida@list-{run}.example,,SE",
        "Nobody,Reachable,Nowhere AB,,,SE",
    )
    wanted = {"file_name": "fair.csv", "kind": "csv", "attribution": _ORIGIN, "consent": _CONSENT}
    made = teller.ok("POST", "/api/v1/imports", expect=201, user="sdr", json=wanted)
    form = made["upload"]
    sent = teller.http.post(form["url"], data=form["fields"], files={"file": ("fair.csv", "\n".join(rows).encode())})
    sent.raise_for_status()

    def done() -> dict[str, Any] | None:
        status: dict[str, Any] = teller.ok("GET", f"/api/v1/imports/{made['id']}", user="sdr")
        return status if status["state"] in {"Completed", "Failed"} else None

    status: dict[str, Any] = teller.until("the import", done)
    require(status["state"] == "Completed", f"the import must end well: {status['problems']}")
    return status


def _verdicts(report: dict[str, Any]) -> str:
    return ", ".join(f"{report[each]} {each}" for each in ("stored", "joined", "pending", "refused"))


def _by_email(teller: Teller, email: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = teller.ok("GET", "/api/v1/leads", user="admin", params={"email": email})["leads"]
    return found


def _by_phone(teller: Teller, phone: str) -> list[dict[str, Any]]:
    page = teller.ok("GET", "/api/v1/leads", user="admin", params={"scope": "all", "limit": 25})["leads"]
    return [lead for lead in page if lead["phone"].replace(" ", "") == phone]


def _worked(teller: Teller, lead: dict[str, Any], ways: Mapping[str, str]) -> dict[str, Any]:
    with teller.step("The SDR opens the ranked list, calls, and learns who decides") as say:
        teller.run_schedule("score-leads")  # what they did meanwhile counts
        for line in teller.until("a lead from each way in on the list", lambda: _ranked(teller, ways)):
            say(line)
        change = {"version": lead["version"], "status": "Contacted", "authority_level": "Decision Maker"}
        lead = teller.until("the change", lambda: _patched(teller, lead["id"], change))
        say(f"{lead['status']} at {clock(lead['contacted_at'])}; score still {lead['score']} until it is rescored")
        report = teller.until("scheduled scoring", lambda: _rescored(teller, lead))
        lead = teller.ok("GET", f"/api/v1/leads/{lead['id']}", user="sdr")
        say(f"scheduled scoring: {report} → score {lead['score']} = " + " + ".join(points(lead)))
        why = teller.ok("GET", f"/api/v1/leads/{lead['id']}/score", user="sdr")
        for each in why["would_change"][:2]:
            say(f"would raise it: {_in_words(each)}")
        other = teller.call("GET", f"/api/v1/leads/{lead['id']}", user="rep2")
        require(other.status_code == 404, "another team must not see the lead")
        say("a seller of another team gets 404 for it")
    return lead


def _ranked(teller: Teller, ways: Mapping[str, str]) -> list[str]:
    """Where each of these leads stands in the SDR's list, best first, and why; nothing while one is not on it."""
    passed, cursor, lines = 0, "", list[str]()
    while len(lines) < len(ways):
        asked = {"sort": "score", "limit": 100} | ({"cursor": cursor} if cursor else {})
        page = teller.ok("GET", "/api/v1/leads", user="sdr", params=asked)
        for place, each in enumerate(page["leads"], passed + 1):
            if each["id"] in ways:
                why = " + ".join(points(each)) or "nothing is known yet"
                lines.append(f"{place:>4}. {ways[each['id']]:<9}score {each['score']} = {why}")
        passed, cursor = passed + len(page["leads"]), page["next"]
        if not cursor:
            break
    return lines if len(lines) == len(ways) else []


def _patched(teller: Teller, lead_id: str, change: dict[str, Any]) -> dict[str, Any] | None:
    """The changed lead; None when somebody changed it meanwhile, after taking over the version that stands."""
    answer = teller.call("PATCH", f"/api/v1/leads/{lead_id}", user="sdr", json=change)
    if answer.status_code == 409:
        change["version"] = answer.json()["current_version"]
        return None
    answer.raise_for_status()
    body: dict[str, Any] = answer.json()
    return body


def _rescored(teller: Teller, lead: dict[str, Any]) -> str:
    report = teller.run_schedule("score-leads")
    now = teller.ok("GET", f"/api/v1/leads/{lead['id']}", user="sdr")["score"]
    return f"{report.get('looked_at', 0)} looked at" if now != lead["score"] else ""


def _in_words(hint: dict[str, Any]) -> str:
    return f"{hint['factor']} {hint['value']}: +{hint['gain']}, to {hint['score']}"


def _nurtured(teller: Teller, lead: dict[str, Any]) -> None:
    with teller.step("The welcome sequence began by itself; what people do with a mail feeds the score") as say:
        enrolled = teller.until("the enrolment", lambda: _enrolments(teller, lead))
        steps = enrolled[0]["steps"]
        say(f"{enrolled[0]['sequence']}: " + ", ".join(each["name"] for each in steps))
        mail = teller.until("the first mail, or that it waits", lambda: _mail_after_a_run(teller, lead))
        if waits := mail.get("waits_until"):
            say(f"quiet hours where the lead lives: {steps[0]['name']} waits until {clock(waits)} UTC")
            return
        say(f"mail to {mail['to'][0]}: {mail['subject']}")
        links = [word.strip('<>"') for word in str(mail).replace("\\n", " ").split() if "/t/" in word]
        require(any("unsubscribe" in link for link in links), "a marketing mail can be unsubscribed from")
        say("with both parts, signed links, and List-Unsubscribe for one click")


def _enrolments(teller: Teller, lead: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = teller.ok("GET", f"/api/v1/leads/{lead['id']}/nurture", user="sdr")["enrolments"]
    return found


def _mail_after_a_run(teller: Teller, lead: dict[str, Any]) -> dict[str, Any] | None:
    """The mail, or until when it waits: a run that finds quiet hours puts it off."""
    teller.run_schedule("nurture")
    found = teller.simulator("mail", "GET", "/messages", params={"to": lead["email"]})["messages"]
    if found:
        return dict(found[0])
    due = _enrolments(teller, lead)[0]["steps"][0]["next_at"]
    later = due and datetime.fromisoformat(due) > datetime.now(UTC) + timedelta(minutes=5)
    return {"waits_until": due} if later else None


def _looks_like_another(teller: Teller, lead: dict[str, Any], run: str) -> None:
    """A private address of somebody who is known: kept apart, listed for a person's word, merged, taken back."""
    with teller.step("Somebody who looks like the partner's lead: a person decides, and can change their mind") as say:
        twin = {name: lead[name] for name in ("first_name", "last_name", "company", "phone", "country")}
        headers = {"Idempotency-Key": f"story-twin-{run}"}
        body = twin | {"email": f"rahul.patil.{run}@gmail.com", "consent": _CONSENT, "attribution": _ORIGIN}
        post = {"key": "partner_api_key", "json": body, "headers": headers}
        made = teller.ok("POST", "/api/v1/partner/leads", expect=201, **post)
        pair = teller.until("the pair on the review list", lambda: _pair(teller, lead["id"], made["id"]))
        say(f"pair {pair['id']}: {_evidence(pair)}")
        path = f"/api/v1/duplicates/{pair['id']}/decision"
        teller.ok("POST", path, user="admin", json={"decision": "merge", "survivor_id": lead["id"]})
        twin_id = made["id"]
        gone = teller.until("the merge", lambda: _merged_into(teller, twin_id))
        say(f"{twin_id} is part of {gone['merged_into']}")
        merge = teller.ok("POST", f"/api/v1/merges/{gone['merge_id']}/undo", user="admin")
        back = teller.ok("GET", f"/api/v1/leads/{twin_id}", user="admin")
        require(not back.get("merged_into"), "an undone merge leaves two leads")
        say(f"taken back by {name_of(teller, merge['undone_by'])}: two again, each with what was its own")


def _pair(teller: Teller, *lead_ids: str) -> dict[str, Any] | None:
    pairs = teller.ok("GET", "/api/v1/duplicates", user="admin")["pairs"]
    return next((pair for pair in pairs if all(lead_id in str(pair) for lead_id in lead_ids)), None)


def _merged_into(teller: Teller, lead_id: str) -> dict[str, Any] | None:
    lead: dict[str, Any] = teller.ok("GET", f"/api/v1/leads/{lead_id}", user="admin")
    return lead if lead.get("merged_into") else None


def _evidence(pair: dict[str, Any]) -> str:
    return ", ".join(f"{each['field']} {each['similarity']:.2f}" for each in pair["evidence"])


def _converted_and_back(teller: Teller, run: str) -> None:
    """A webinar's guest becomes account, contact and deal in one go, and a lead again."""
    (lead,) = _by_email(teller, f"dana@webinar-{run}.example")
    path = f"/api/v1/leads/{lead['id']}"
    with teller.step("A guest of the webinar is qualified and converted, and converted back") as say:
        known = {"authority_level": "Decision Maker", "company_size": "250 people", "industry": "Software"}
        known |= {"budget_range": "50k-100k", "timeline": "immediate", "status": "Contacted"}
        _changed(teller, "PATCH", path, path, known)
        found = dict.fromkeys(("budget", "authority", "need", "timeline"), _MET)
        report = _changed(teller, "PUT", path, f"{path}/qualification", {"bant": found})
        say(f"BANT {report['risk']['met']} of 4 met; risk {report['risk']['level']}: {report['risk']['because']}")
        _changed(teller, "POST", path, f"{path}/qualification/outcome", {"outcome": "accepted"})
        teller.until("a score above 70", lambda: _scored_above(teller, path, 70))
        offer = teller.ok("GET", f"{path}/conversion/proposal", user="sdr")
        require(offer["possible"], f"nothing may stand in its way: {offer['obstacles']}")
        made = _changed(teller, "POST", path, f"{path}/conversion", {})
        say(f"{made['account_id']} · {made['contact_id']} · {made['opportunity_id']}")
        worth, who = made["value"], name_of(teller, made["converted_by"])
        say(f"deal worth {worth['minor'] / 100:,.0f} {worth['currency']}, converted by {who}")
        again = teller.call("POST", f"{path}/conversion", user="sdr", json={"version": made["version"]})
        require(again.json()["account_id"] == made["account_id"], "asked again, the answer is the same")
        back = _changed(teller, "POST", path, f"{path}/conversion/undo", {})
        say(f"undone while nothing was built on it: the lead is {back['status']} again")


def _changed(teller: Teller, method: str, lead_path: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What a route under a lead's version answers, over whatever version stands by then."""

    def attempt() -> dict[str, Any] | None:
        version = teller.ok("GET", lead_path, user="sdr")["version"]
        answer = teller.call(method, path, user="sdr", json={"version": version} | body)
        said: dict[str, Any] = answer.json()
        if answer.status_code == 409 and "current_version" in said:
            return None
        if answer.is_error:
            raise StoryFailed(f"{method} {path} answered {answer.status_code}: {answer.text[:600]}")
        return said

    done: dict[str, Any] = teller.until(f"{method} {path}", attempt)
    return done


def _scored_above(teller: Teller, path: str, score: int) -> bool:
    teller.run_schedule("score-leads")
    return bool(teller.ok("GET", path, user="sdr")["score"] > score)
