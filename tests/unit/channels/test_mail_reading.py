"""Mails of every shape are read, and what is broken in one costs only that part."""

import random
import time
from email.message import EmailMessage

import pytest

from revops.channels.mail_reading import Mail, Sender, person_name, read_mail, text_of_html
from tests.builders.mails import mail, raw

pytestmark = pytest.mark.mission("CAP-4")


def read(message: EmailMessage | bytes) -> Mail:
    return read_mail(message if isinstance(message, bytes) else raw(message))


def test_a_plain_mail_says_who_wrote_it_to_whom_and_what() -> None:
    found = read(mail("Guten Tag,\nbitte rufen Sie mich an.\n", subject="Grüße aus Köln"))
    assert found.sender == Sender("Asha Rao", "asha.rao@nordlicht.example")
    assert found.recipients == ("sales@revops.example",)
    assert found.subject == "Grüße aus Köln"
    assert found.text == "Guten Tag,\nbitte rufen Sie mich an."
    assert (found.message_id, found.automatic, found.is_reply) == ("<m-1@nordlicht.example>", "", False)


def test_the_plain_part_is_read_of_a_mail_with_both_and_the_page_of_one_that_has_only_that() -> None:
    page = "<html><head><title>x</title><style>p{}</style></head><body><p>Hello &amp; hi</p><p>two</p></body></html>"
    assert read(mail("plain words", html=page)).text == "plain words"
    assert read(mail("", html=page)).text == "Hello & hi\n\ntwo"
    assert text_of_html("<p>open <b>and<br>never closed") == "open and\nnever closed"
    assert text_of_html("<![if x]><p>odd</p>") == "odd"


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Asha Rao", "Asha", "Rao"),
        ("Rao, Asha", "Asha", "Rao"),
        ('"Rao, Asha (Nordlicht)"', "Asha", "Rao"),
        ("Anna Maria von Beispiel", "Anna Maria von", "Beispiel"),
        ("राहुल पाटील", "राहुल", "पाटील"),
        ("Madonna", "Madonna", ""),
        ("asha@nordlicht.example", "", ""),
        ("", "", ""),
    ],
)
def test_a_display_name_gives_first_and_last(name: str, first: str, last: str) -> None:
    assert person_name(name) == (first, last)


@pytest.mark.parametrize(
    "quoted",
    [
        "Yes please.\n\nOn Fri, 20 Nov 2026 at 09:00, Sales <sales@revops.example> wrote:\n> Shall we call?\n",
        "Yes please.\n\nOn Fri, 20 Nov 2026 at 09:00, Sales\n<sales@revops.example> wrote:\n> Shall we call?\n",
        "Yes please.\n\nAm 20.11.2026 um 09:00 schrieb Sales:\n> Shall we call?\n",
        "Yes please.\n\n-----Original Message-----\nFrom: Sales <sales@revops.example>\nShall we call?",
        "Yes please.\n\nVon: Sales <s@revops.example>\nGesendet: Freitag\nAn: Asha\nBetreff: Anruf\n\nShall we call?",
        "> Shall we call?\nYes please.\n",
    ],
)
def test_what_is_quoted_is_not_what_is_said(quoted: str) -> None:
    found = read(mail(quoted, In_Reply_To="<x@revops.example>"))
    assert found.text == "Yes please."
    assert found.is_reply


def test_a_mail_that_only_quotes_keeps_its_words() -> None:
    assert "Shall we call?" in read(mail("> Shall we call?\n")).text


@pytest.mark.parametrize(
    "body",
    [
        "FYI\n\n---------- Forwarded message ---------\nFrom: Jane Doe <jane@acme.example>\nDate: x\nTo: us\n\nHi",
        "Begin forwarded message:\n\nFrom: Jane Doe <jane@acme.example>\nSubject: Hi\n\nHi",
        "-----Ursprüngliche Nachricht-----\nVon: Jane Doe [mailto:jane@acme.example]\nGesendet: x\nAn: y\n\nHi",
        "*De :* Jane Doe <jane@acme.example>\n*Envoyé :* x\n*À :* y\n\nBonjour",
    ],
)
def test_a_forwarded_mail_names_its_first_sender(body: str) -> None:
    assert read(mail(body, subject="Fwd: Hi")).original == Sender("Jane Doe", "jane@acme.example")


def test_a_mail_that_hangs_on_a_mail_is_forwarded_too() -> None:
    inner = mail("Hi", sender="Jane Doe <jane@acme.example>")
    outer = mail("see below", subject="please handle")
    outer.add_attachment(inner)
    found = read(outer)
    assert found.original == Sender("Jane Doe", "jane@acme.example")
    assert found.text == "see below"


def test_a_reply_that_quotes_a_sender_is_not_a_forward() -> None:
    body = "Yes.\n\nFrom: Sales <sales@revops.example>\nSent: x\nTo: y\n\nShall we?"
    assert read(mail(body, subject="Re: Hi")).original is None


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"Auto_Submitted": "auto-replied"}, "Auto-Submitted"),
        ({"Precedence": "bulk"}, "Precedence"),
        ({"List_Unsubscribe": "<https://list.example/u>"}, "list"),
        ({"X_Autoreply": "yes"}, "automatic reply"),
        ({"Return_Path": "<>"}, "return path"),
        ({"sender": "MAILER-DAEMON@mx.example"}, "nobody reads"),
        ({"sender": "No Reply <no-reply@shop.example>"}, "nobody reads"),
    ],
)
def test_what_no_person_wrote_says_so(headers: dict[str, str], why: str) -> None:
    assert why in read(mail(**headers)).automatic


def test_auto_submitted_no_is_a_person() -> None:
    assert read(mail(Auto_Submitted="no")).automatic == ""


def test_what_hangs_on_a_mail_is_named_and_not_kept() -> None:
    message = mail("with files")
    for number in range(150):
        message.add_attachment(b"x" * 2000, maintype="application", subtype="pdf", filename=f"Angebot {number} ü.pdf")
    found = read(message)
    assert found.text == "with files"
    assert len(found.attachments) == 150
    assert (found.attachments[0].name, found.attachments[0].size) == ("Angebot 0 ü.pdf", 2000)


def test_a_mail_cut_off_in_its_attachment_keeps_its_words() -> None:
    message = mail("the words come first")
    message.add_attachment(b"y" * 50_000, maintype="application", subtype="zip", filename="big.zip")
    assert read(raw(message)[:5000]).text == "the words come first"


def test_a_wrong_charset_costs_letters_and_nothing_else() -> None:
    head = b"From: a@b.example\r\nContent-Type: text/plain; charset=%s\r\n\r\n"
    assert "Gr" in read(head % b"utf-8" + "Grüße".encode("latin-1")).text
    assert read(head % b"no-such-charset" + "Grüße".encode()).text == "Grüße"
    assert read(head % b"\0" + "Grüße".encode()).text == "Grüße"
    assert read(b"From: =?utf-8?q?=C3=A4?= <a@b.example>\r\nSubject: =?x-odd?q?=FF?=\r\n\r\nhi").text == "hi"


def test_encoded_headers_and_international_addresses_are_read() -> None:
    found = read(b"From: =?UTF-8?B?4KSw4KS+4KS54KWB4KSy?= <rahul@xn--bcher-kva.example>\r\n\r\nnamaste")
    assert found.sender == Sender("राहुल", "rahul@xn--bcher-kva.example")


def test_reply_to_is_who_is_answered() -> None:
    found = read(mail(Reply_To="asha@private.example"))
    assert found.sender == Sender("Asha Rao", "asha@private.example")


@pytest.mark.parametrize("answer", ["undisclosed", "Asha <asha@>", "<>", "a b@c.example"])
def test_a_reply_to_that_names_nobody_leaves_who_wrote(answer: str) -> None:
    found = read(mail(Reply_To=answer))
    assert found.sender == Sender("Asha Rao", "asha.rao@nordlicht.example")


@pytest.mark.parametrize(
    ("head", "sender"),
    [
        ("Rao, Asha <asha@nordlicht.example>", Sender("Rao, Asha", "asha@nordlicht.example")),
        ('"Rao, Asha" <asha@nordlicht.example>', Sender("Rao, Asha", "asha@nordlicht.example")),
        ("Asha Rao <asha@nordlicht.example>, Bo <bo@x.example>", Sender("Asha Rao", "asha@nordlicht.example")),
        ("asha@nordlicht.example, bo@x.example", Sender("", "asha@nordlicht.example")),
        ("nobody, at all", Sender("", "")),
    ],
)
def test_a_sender_with_a_comma_and_several_of_them_are_read(head: str, sender: Sender) -> None:
    assert read(f"From: {head}\r\n\r\nHi".encode()).sender == sender
    forwarded = read(mail(f"From: {head}\nSent: x\nTo: y\nSubject: z\n\nHi", subject="WG: Anfrage")).original
    assert forwarded == (sender if sender.address else None)


def test_one_odd_recipient_costs_no_other() -> None:
    found = read(
        b"From: asha@nordlicht.example\r\nTo: Sales, Team <sales@revops.example>, <ops@revops.example>\r\n\r\nHi"
    )
    assert found.recipients == ("sales@revops.example", "ops@revops.example")


def test_a_mail_without_an_id_has_one_of_its_content() -> None:
    one, other = read(mail("a", message_id="")), read(mail("b", message_id=""))
    assert one.message_id.startswith("sha256:")
    assert one.message_id != other.message_id


@pytest.mark.parametrize("seed", range(40))
def test_noise_is_read_as_something(seed: int) -> None:
    rng = random.Random(seed)
    whole = bytearray(raw(mail("hello there", html="<p>hello <b>there</p>", Reply_To="x@y.example")))
    for _ in range(rng.randint(1, 60)):
        whole[rng.randrange(len(whole))] = rng.randrange(256)
    found = read_mail(bytes(whole[: rng.randint(1, len(whole))]))
    assert len(found.text) <= 10_000


_FAILED, _PASSED = "spf=fail; dmarc=fail header.from=revops.example", "spf=pass; dmarc=pass"


@pytest.mark.fault("S9")
@pytest.mark.parametrize(
    ("results", "forged"),
    [
        ([f"amazonses.com; {_FAILED}"], True),
        ([f"AmazonSES.com 1; {_FAILED}"], True),
        ([f"amazonses.com; {_PASSED}"], False),
        ([f"mx.elsewhere.example; {_FAILED}"], False),
        ([f"amazonses.com.elsewhere.example; {_FAILED}"], False),
        ([f"amazonses.com; {_PASSED}", f"mx.elsewhere.example; {_FAILED}"], False),
        ([f"mx.elsewhere.example; {_FAILED}", f"amazonses.com; {_PASSED}"], False),
        ([f"amazonses.com; {_FAILED}", f"mx.elsewhere.example; {_PASSED}"], True),
        ([f"mx.elsewhere.example; {_PASSED}", f"amazonses.com; {_FAILED}"], True),
        ([f"amazonses.com; {_FAILED}", f"amazonses.com; {_PASSED}"], True),  # the lower one came with the mail
        ([f"amazonses.com; {_PASSED}", f"amazonses.com; {_FAILED}"], False),
        ([], False),
    ],
)
def test_only_what_the_receiving_service_itself_found_says_that_a_mail_is_forged(
    results: list[str], forged: bool
) -> None:
    heads = "".join(f"Authentication-Results: {result}\r\n" for result in results)
    assert read(f"{heads}From: bob@revops.example\r\n\r\nHi".encode()).forged is forged


@pytest.mark.fault("R12")
@pytest.mark.parametrize("head", ["To", "Content-Type", "Subject", "Reply-To"])
def test_a_header_of_comments_in_comments_costs_only_itself(head: str) -> None:
    found = read(b"From: asha@nordlicht.example\r\n" + head.encode() + b": " + b"(" * 5_000 + b"\r\n\r\nHello")
    assert found.text == "Hello"
    assert found.sender.address == "asha@nordlicht.example"


@pytest.mark.fault("R12")
def test_parts_in_parts_without_end_cost_the_text_and_not_the_sender() -> None:
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(1_500))
    found = read(b"From: asha@nordlicht.example\r\nSubject: deep\r\n" + deep + b"\r\nHello")
    assert (found.sender.address, found.subject) == ("asha@nordlicht.example", "deep")
    forwarded = b"From: asha@nordlicht.example\r\nSubject: Fwd: x\r\n\r\nFrom: " + b"(" * 5_000
    assert read(forwarded).original is None


@pytest.mark.fault("R12")
@pytest.mark.parametrize("piece", ["<a ", "<a x='", "<!--", "<![CDATA[", "</a", "<!-- >", "<a x=\"><a x='>", "<"])
def test_a_page_that_never_ends_is_read_at_once(piece: str) -> None:
    began = time.process_time()
    assert text_of_html("<p>Hello</p>" + piece * 20_000).startswith("Hello")
    assert time.process_time() - began < 3


@pytest.mark.fault("R12")
@pytest.mark.parametrize(
    "line",
    ["am abcd schrieb" + " " * 60_000 + "x", "From: " + "[mailto:" * 30_000],
)
def test_a_line_that_never_ends_is_no_head_of_a_quote_and_is_read_at_once(line: str) -> None:
    began = time.process_time()
    found = read(b"From: asha@nordlicht.example\r\nSubject: Fwd: x\r\n\r\nHello\r\n" + line.encode() + b"\r\n")
    assert time.process_time() - began < 2
    assert found.text.startswith("Hello")
    assert found.original is None


@pytest.mark.fault("R12", "S13")
@pytest.mark.parametrize("piece", [b";", b"(a)", b"a=b;", b'"', b"=?utf-8?q?a?= "])
def test_heads_of_parts_that_never_end_are_read_at_once(piece: bytes) -> None:
    def folded(name: bytes) -> bytes:
        return name + b": text/plain" + b"".join(b"\r\n " + piece * (900 // len(piece)) for _ in range(22)) + b"\r\n"

    heads = b"".join(folded(name) for name in (b"Content-Type", b"Content-Disposition", b"Content-Transfer-Encoding"))
    sender = b"From: asha@nordlicht.example\r\nSubject: Prices\r\n"
    part = b"--x\r\n" + heads + b"\r\nHello\r\n"
    began = time.process_time()
    read(sender + heads + b"\r\nHello\r\n")
    found = read(sender + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + part * 20)
    assert time.process_time() - began < 3
    assert (found.sender.address, found.subject) == ("asha@nordlicht.example", "Prices")
    assert read(folded(b"From") + sender).subject == "Prices"


@pytest.mark.fault("R12", "S13")
def test_a_mail_of_parts_without_number_is_read_as_far_as_one_has_parts() -> None:
    head = b"From: asha@nordlicht.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHello\r\n"
    began = time.process_time()
    found = read(head + b"--b\r\n\r\nx\r\n" * 900_000)
    assert time.process_time() - began < 3
    assert found.text.startswith("Hello")


def test_comments_and_stray_marks_in_a_page_cost_no_words() -> None:
    page = "<p>one<!-- two --> three <!--> four</p><!--[if x]>five<![endif]-->six"
    assert text_of_html(page) == "one three four\nsix"
    assert text_of_html("<p>2 < 3 <b>and</b> 4 > 3</p>") == "2 < 3 and 4 > 3"
