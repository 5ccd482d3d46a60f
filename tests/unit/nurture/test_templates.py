"""Messages written out: every value escaped for its place, links that count, headers nobody can forge (LEAD-5, S15)."""

import json
import time
from email import message_from_string
from typing import Any

import pytest

from revops.crm.links import Links, Purpose
from revops.nurture.ports import MailMessage
from revops.nurture.templates import (
    Footer,
    MailTemplate,
    NurtureTemplates,
    Recipient,
    plain_text,
    write_line,
    write_mail,
)
from tests.builders.nurture import NamedLinks, Nurture

FOOTER = Footer(html='<a href="{{unsubscribe_url}}">Leave</a>', text="Leave: {{unsubscribe_url}}")


def recipient(**values: str) -> Recipient:
    return Recipient("LEAD_1", "PER_1", "MSG_1", "a@b.example", values)


def written(subject: str = "Hi", html: str = "<p>Hi</p>", text: str = "", **values: str) -> MailMessage:
    template = MailTemplate(subject=subject, html=html, text=text)
    return write_mail(template, FOOTER, recipient(**values), NamedLinks(), "en")


@pytest.mark.mission("LEAD-5")
def test_a_mail_has_both_parts_links_that_tell_and_the_headers_to_unsubscribe_by() -> None:
    mail = written(
        "Hello {{first_name}}",
        '<p>See <a class="x" href="https://x.example/a?b=1&amp;c=2">this</a></p>',
        first_name="Asha",
    )
    unsubscribe = "https://t.example/u/PER_1/email/MSG_1"
    click = "https://t.example/c/LEAD_1/MSG_1?https://x.example/a?b=1&c=2"
    assert mail.subject == "Hello Asha"
    assert mail.text == f"See this: {click}\n\nLeave: {unsubscribe}\n"
    assert f'<a class="x" href="{click.replace("&", "&amp;")}">this</a>' in mail.html
    assert f'<a href="{unsubscribe}">Leave</a>' in mail.html
    assert '<img src="https://t.example/o/LEAD_1/MSG_1" alt=""' in mail.html
    assert mail.headers == {
        "List-Unsubscribe": f"<{unsubscribe}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def test_the_links_are_signed_and_read_back() -> None:
    links = Links("https://api.example", b"k" * 32)
    mail = write_mail(
        MailTemplate(subject="Hi", html='<a href="https://x.example/größe">x</a>'), FOOTER, recipient(), links, "de"
    )
    token = mail.text.split("/t/click/")[1].split()[0]
    claim = links.read(token, Purpose.CLICK)
    assert (claim.lead_id, claim.message_id, claim.target) == ("LEAD_1", "MSG_1", "https://x.example/gr%C3%B6%C3%9Fe")
    left = links.read(mail.headers["List-Unsubscribe"].split("/t/unsubscribe/")[1].rstrip(">"), Purpose.UNSUBSCRIBE)
    assert (left.person_id, left.channel) == ("PER_1", "email")


@pytest.mark.fault("S15")
@pytest.mark.parametrize("name", ["Eve\r\nBcc: all@x.example", "Eve\nX: y", "Eve\u2028Bcc: z", "Eve\x00\x0bBcc: z"])
def test_a_name_cannot_start_a_header(name: str) -> None:
    lead = Nurture().lead(first_name="Asha").model_copy(update={"first_name": name})
    to = Recipient.of(lead, "MSG_1", "a@b.example", NurtureTemplates())
    mail = write_mail(MailTemplate(subject="Hi {{first_name}}", html="<p>x</p>"), FOOTER, to, NamedLinks(), "en")
    assert mail.subject.splitlines() == [mail.subject]
    assert set(message_from_string(f"Subject: {mail.subject}\nTo: {mail.to}\n\nx").keys()) == {"Subject", "To"}


@pytest.mark.fault("S15", "S23")
@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"first_name": "You won https://evil.example/prize"}, "Hi there of Nordlicht GmbH"),
        ({"first_name": "Prizes at evil.example"}, "Hi there of Nordlicht GmbH"),
        ({"first_name": "WWW.EVIL.EXAMPLE"}, "Hi there of Nordlicht GmbH"),
        ({"company": "evil.example/prize"}, "Hi Asha of yours"),
        ({"company": "Ask help@evil.example"}, "Hi Asha of yours"),
        ({"company": "Nordlicht.example"}, "Hi Asha of Nordlicht.example"),
        ({"first_name": "J. R."}, "Hi J. R. of Nordlicht GmbH"),
    ],
)
def test_nobody_else_is_sent_a_link_by_way_of_the_form(said: dict[str, str], shown: str) -> None:
    lead = Nurture().lead(first_name="Asha", company="Nordlicht GmbH").model_copy(update=said)
    to = Recipient.of(lead, "MSG_1", "a@b.example", NurtureTemplates())
    line = "Hi {{first_name|there}} of {{company|yours}}"
    mail = write_mail(MailTemplate(subject=line, html=f"<p>{line}</p>"), FOOTER, to, NamedLinks(), "en")
    assert mail.subject == shown
    assert f"<p>{shown}</p>" in mail.html
    assert write_line(line, to) == shown


def said_by(to: str = "", **said: str) -> str:
    """What a template shows of a lead of Nordlicht; `-` where it falls back."""
    lead = Nurture().lead(email="asha@nordlicht.example").model_copy(update=said)
    [name] = [each for each in said if each != "email"]
    return write_line(f"{{{{{name}|-}}}}", Recipient.of(lead, "MSG_1", to or lead.email, NurtureTemplates()))


@pytest.mark.mission("LEAD-5")
@pytest.mark.fault("S15", "S23")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("interest_product", "your prize: win-iphone.xyz, code 7"),
        ("interest_product", "see 203.0.113.7 today"),
        ("interest_product", "ASP.NET"),
        ("company", "secure-login.com"),
        ("company", "login.nordlicht.example"),
        ("company", "Nordlicht (now win-iphone.xyz)"),
        ("first_name", "Имя.рф"),
        ("first_name", "इनाम.भारत"),
        ("first_name", "奖品.中国"),
        ("first_name", "win.x\u200cyz"),
        ("first_name", "win．xyz"),
        ("last_name", "🎁.ws"),
        ("last_name", "xn--e1afmkfd.xn--p1ai"),
        ("job_title", "CEO of evil.co"),
        ("country", "evil.de"),
        ("first_name", "nordlicht.example"),
    ],
)
def test_a_value_that_a_mail_program_could_make_a_link_of_counts_as_not_said(name: str, value: str) -> None:
    assert said_by(**{name: value}) == "-"


@pytest.mark.mission("LEAD-5")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("company", "Nordlicht GmbH & Co. KG"),
        ("company", "J.P. Morgan"),
        ("company", "Hafen S.p.A."),
        ("company", "Lind & Co., Ltd."),
        ("company", "Spital St. Gallen"),
        ("company", "株式会社ハフェン"),
        ("company", "Nordlicht.example"),
        ("company", "www.nordlicht.example"),
        ("first_name", "A. Lind"),
        ("first_name", "Dr. Rao"),
        ("first_name", "J. R."),
        ("last_name", "Müller-Lüdenscheidt"),
        ("last_name", "पाटील"),
        ("last_name", "O’Neill Jr."),
        ("job_title", "Ph.D., Head of R&D"),
        ("interest_product", "Version 2.0, 1.500 seats... and .NET"),
        ("country", "U.S.A."),
    ],
)
def test_ordinary_names_are_said_as_they_are(name: str, value: str) -> None:
    assert said_by(**{name: value}) == value


@pytest.mark.mission("LEAD-5")
@pytest.mark.parametrize(
    ("email", "company", "to", "shown"),
    [
        ("a@xn--mller-kva.example", "Müller.example", "", "Müller.example"),
        ("a@nordlicht.example", "Nordlicht.example", "+4930901820", "-"),
        ("", "nordlicht.example", "+4930901820", "-"),
        ("a@evil.example", "nordlicht.example", "", "-"),
    ],
)
def test_only_to_its_own_mail_address_is_a_company_called_after_its_site(
    email: str, company: str, to: str, shown: str
) -> None:
    """Whoever fills in the form may name a phone of somebody else beside an address of their own."""
    assert said_by(to, email=email, company=company) == shown


@pytest.mark.mission("LEAD-5")
@pytest.mark.fault("S17")
@pytest.mark.parametrize("end", ["", ">", "'", '"', ">x</a>"])
@pytest.mark.parametrize(
    "start",
    ["<a ", "<a href", "<a href='", '<a href="', "<a href='\"", "<a x='", "<a><p>", "<a href=b>", "<", "</", "</a ",
     "<!--", "<!", "<![CDATA[", "<aa", "aa", "&#1", "&", "{{", "{{a ", "http://", "http://{{", "onx ", "a.a", "\n "],
)  # fmt: skip
def test_the_largest_draft_costs_as_much_as_it_is_long(start: str, end: str) -> None:
    """60 kB of anything that begins and never ends; looked through once for each start, it took most of a minute."""
    page = (start * 60_000)[: 60_000 - len(end)] + end
    began = time.process_time()
    if "{{" not in start:
        written(html=page)
    else:
        with pytest.raises(ValueError):
            written(html=page)
    plain_text(page)
    assert time.process_time() - began < 2


@pytest.mark.fault("S15")
def test_a_value_is_escaped_for_the_place_it_stands_in() -> None:
    name = '"><script>alert(1)</script>&{{company}}'
    mail = written(
        "{{first_name}}",
        '<p title="{{first_name}}">{{first_name}} <a href="https://x.example/?n={{first_name}}">go</a></p>',
        "{{first_name}} https://x.example/?n={{first_name}}",
        first_name=name,
        company="secret",
    )
    assert "<script>" not in mail.html
    assert "secret" not in mail.html + mail.text, "a value is never read as a template"
    assert "https://x.example/?n=%22%3E%3Cscript%3E" in mail.html
    assert mail.text.startswith(name + " https://t.example/c/")
    assert mail.subject == name


@pytest.mark.parametrize("script", ["राहुल पाटील", "山田 太郎", "محمد", "Ολγα", "Zoë O’Neill", "🙂"])
def test_any_script_goes_through(script: str) -> None:
    mail = written("{{first_name}}", "<p>{{first_name}}</p>", "", first_name=script)
    assert script in mail.subject
    assert script in mail.text
    assert script in mail.html
    json.dumps(mail.subject).encode()


def test_what_is_empty_gets_its_fallback() -> None:
    mail = written("Hi {{first_name|there}}", "<p>{{company| your <company> }}{{job_title}}</p>", "", first_name=" ")
    assert mail.subject == "Hi there"
    assert "&lt;company&gt;" in mail.html


@pytest.mark.parametrize(
    "broken",
    [
        {"subject": "{{password}}", "html": "<p>x</p>"},
        {"subject": "{{first_name", "html": "<p>x</p>"},
        {"subject": "two\nlines", "html": "<p>x</p>"},
        {"subject": "x" * 201, "html": "<p>x</p>"},
        {"subject": "x", "html": "<script>x</script>"},
        {"subject": "x", "html": '<p onclick="x()">x</p>'},
        {"subject": "x", "html": '<a href="javascript:x()">x</a>'},
        {"subject": "x", "html": "<p>{{}}</p>"},
        {"subject": "x", "html": f"<p>&#{'9' * 5_000};</p>"},
        {"subject": "x", "html": "<p>x</p>", "text": "{{owner.email}}"},
        {"subject": "", "html": "<p>x</p>"},
        {"subject": "x", "html": "<p>x</p>", "bcc": "y@x.example"},
    ],
)
def test_a_template_that_cannot_be_right_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        MailTemplate.model_validate(broken)


def test_a_footer_without_a_way_out_is_refused() -> None:
    with pytest.raises(ValueError, match="unsubscribe_url"):
        Footer.model_validate({"html": "<p>x</p>", "text": "{{unsubscribe_url}}"})


def test_text_is_made_of_html() -> None:
    page = "<head><title>t</title></head><h1>Hi &amp; welcome</h1><p>One<br>two   three</p><ul><li>a<li>b</ul>"
    page += "<p><a href='https://x.example'>https://x.example</a> <a href='mailto:a@b.example'>us</a></p>"
    page = f"<!DOCTYPE html><!-- not <b>this</b> -->{page}<style>p > a {{}}</style>"
    assert plain_text(page) == "Hi & welcome\n\nOne\ntwo three\n\n- a\n- b\n\nhttps://x.example us: mailto:a@b.example"


@pytest.mark.parametrize(("wanted", "found"), [("de", "Willk"), ("de_AT", "Willk"), ("fr", "Welc"), ("en", "Welc")])
def test_a_language_that_is_missing_falls_back_to_english(wanted: str, found: str) -> None:
    mail = NurtureTemplates().mail("welcome-1", wanted)
    assert mail is not None
    assert mail.subject.startswith(found)


def test_markup_that_is_not_quite_right_is_read_as_a_browser_reads_it() -> None:
    assert (
        plain_text("<p class=don't>5 < 6 &amp; 7</p><A HREF=x?a=1&amp;b=2 title='>'>go") == "5 < 6 & 7\n\ngo: x?a=1&b=2"
    )
    assert plain_text("<a href='x'>one<br><a href=\"y\">two</a></a> <a>three</a>") == "one\n: xtwo: y three"


def test_a_value_before_the_target_of_a_link_is_filled_in_too() -> None:
    mail = written(html="<a title='{{first_name}}' href='https://x.example' id='{{company}}'>x</a>", first_name="A'B")
    assert "<a title='A&#x27;B' href='https://t.example/c/LEAD_1/MSG_1?https://x.example' id=''>x</a>" in mail.html


def test_a_line_is_one_line() -> None:
    assert write_line("Call {{first_name}}", recipient(first_name="A\nB")) == "Call A B"
