"""What holds before a company applies sequences and texts of its own: the sequences that LEAD-5 names."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from revops.crm.model import LeadStatus
from revops.nurture.model import Anchor, Sequence, Step, StepChannel, Trigger

_MAIL_DAYS = (0, 3, 6, 10, 14)


def sequences() -> dict[str, Sequence]:
    """Five mails over 14 days; two WhatsApp follow-ups, 3 days after the first engagement and 3 days later; a task for
    the lead's owner after 7 days, or as soon as the score has risen by 15 (LEAD-5). Recycled leads get three mails."""
    mails = tuple(
        Step(name=f"mail-{place}", channel=StepChannel.EMAIL, after=timedelta(days=day), template=f"welcome-{place}")
        for place, day in enumerate(_MAIL_DAYS, 1)
    )
    whatsapp = tuple(
        Step(
            name=f"whatsapp-{place}",
            channel=StepChannel.WHATSAPP,
            after=timedelta(days=3),
            of=anchor,
            only_if="engaged",
            template=f"follow-up-{place}",
        )
        for place, anchor in enumerate((Anchor.ENGAGEMENT, Anchor.PREVIOUS), 1)
    )
    task = Step(
        name="sdr-task",
        channel=StepChannel.TASK,
        after=timedelta(days=7),
        score_rise=15,
        template="Call {{full_name|this lead}} of {{company|an unnamed company}}",
    )
    again = tuple(
        Step(name=f"mail-{place}", channel=StepChannel.EMAIL, after=timedelta(days=day), template=f"again-{place}")
        for place, day in enumerate((7, 30, 60), 1)
    )
    return {
        "welcome": Sequence(
            triggers=(Trigger.LEAD_CREATED, Trigger.SCORE_REACHED), score_at_least=40, steps=(*mails, *whatsapp, task)
        ),
        "recycle": Sequence(
            triggers=(Trigger.RECYCLED,),
            statuses=(LeadStatus.RECYCLED, LeadStatus.CONTACTED),
            again=True,
            closes_after=timedelta(days=90),
            steps=again,
        ),
    }


def zones() -> dict[str, tuple[str, ...]]:
    """Of the widest countries, the zones in which nearly everybody lives."""
    return {
        "AU": ("Australia/Sydney", "Australia/Perth"),
        "BR": ("America/Sao_Paulo", "America/Manaus"),
        "CA": ("America/Toronto", "America/Vancouver"),
        "CL": ("America/Santiago",),
        "CN": ("Asia/Shanghai",),
        "EC": ("America/Guayaquil",),
        "ES": ("Europe/Madrid",),
        "FR": ("Europe/Paris",),
        "ID": ("Asia/Jakarta", "Asia/Makassar"),
        "MX": ("America/Mexico_City", "America/Tijuana"),
        "NZ": ("Pacific/Auckland",),
        "PT": ("Europe/Lisbon",),
        "RU": ("Europe/Moscow", "Asia/Yekaterinburg", "Asia/Novosibirsk"),
        "US": ("America/New_York", "America/Los_Angeles"),
    }


def languages() -> dict[str, str]:
    """Countries whose people are written to in another language than English."""
    return {"AT": "de", "CH": "de", "DE": "de", "LI": "de"}


_HELLO = {"en": "Hello {{first_name|there}},", "de": "Guten Tag {{full_name|zusammen}},"}
_MAILS: Mapping[str, Mapping[str, tuple[str, str, str]]] = {
    "welcome-1": {
        "en": (
            "Welcome, {{first_name|and thank you}}",
            "thank you for your interest in {{interest_product|what we do}}. Here is how companies like "
            "{{company|yours}} begin.",
            "See how it begins",
        ),
        "de": (
            "Willkommen, {{first_name|und vielen Dank}}",
            "vielen Dank für Ihr Interesse an {{interest_product|unserem Angebot}}. So fangen Unternehmen wie "
            "{{company|Ihres}} an.",
            "So geht es los",
        ),
    },
    "welcome-2": {
        "en": (
            "From lead to cash, step by step",
            "this is the way from a first touch to a paid invoice.",
            "Take a look",
        ),
        "de": ("Vom Kontakt zur Zahlung", "das ist der Weg vom ersten Kontakt zur bezahlten Rechnung.", "Ansehen"),
    },
    "welcome-3": {
        "en": ("What others made of it", "three companies tell what changed for them.", "Read their stories"),
        "de": ("Was andere daraus machen", "drei Unternehmen erzählen, was sich geändert hat.", "Weiterlesen"),
    },
    "welcome-4": {
        "en": ("Questions we are often asked", "here are the answers, the one on prices first.", "Read the answers"),
        "de": ("Häufige Fragen", "hier sind die Antworten, die zu den Preisen zuerst.", "Antworten lesen"),
    },
    "welcome-5": {
        "en": (
            "Shall we talk, {{first_name|once}}?",
            "half an hour is enough to see whether it fits.",
            "Choose a time",
        ),
        "de": ("Sprechen wir darüber?", "eine halbe Stunde genügt, um zu sehen, ob es passt.", "Termin wählen"),
    },
    "again-1": {
        "en": ("Still a topic at {{company|your company}}?", "much is new since we last spoke.", "See what is new")
    },
    "again-2": {"en": ("A short look back", "this is what we built in the last months.", "Take a look")},
    "again-3": {"en": ("May we stay in touch?", "if the time is better now, we are here.", "Choose a time")},
}


def mails() -> dict[str, dict[str, dict[str, str]]]:
    """The mails of the sequences, by name and language."""
    return {
        name: {language: _mail(language, *said) for language, said in variants.items()}
        for name, variants in _MAILS.items()
    }


def _mail(language: str, subject: str, says: str, link: str) -> dict[str, str]:
    target = f"https://www.example.com/{language}?ref=nurture"
    page = f'<p>{_HELLO[language]}</p>\n<p>{says}</p>\n<p><a href="{target}">{link}</a></p>\n<p>{{{{sender_name}}}}</p>'
    return {"subject": subject, "html": page, "text": ""}


def whatsapp() -> dict[str, dict[str, dict[str, Any]]]:
    """The WhatsApp messages, by name and language; WhatsApp has to approve templates of these names."""
    first = "Hello {{first_name|there}}, this is {{sender_name}}. Did what we sent answer your questions?"
    second = "Hello {{first_name|there}}, shall we find a time to talk? Just answer here."
    parameters = ["{{first_name|there}}"]
    return {
        "follow-up-1": {"en": {"name": "follow_up_1", "language": "en", "parameters": parameters, "text": first}},
        "follow-up-2": {"en": {"name": "follow_up_2", "language": "en", "parameters": parameters, "text": second}},
    }


def footers() -> dict[str, dict[str, str]]:
    """What stands below a mail, by language."""
    said = {
        "en": ("You get this because you agreed to hear from us.", "Unsubscribe"),
        "de": ("Sie erhalten diese Nachricht, weil Sie zugestimmt haben.", "Abmelden"),
    }
    return {
        language: {
            "html": f"<hr><p>{why}<br>{{{{sender_name}}}}, {{{{sender_address}}}}<br>"
            f'<a href="{{{{unsubscribe_url}}}}">{leave}</a></p>',
            "text": f"-- \n{why}\n{{{{sender_name}}}}, {{{{sender_address}}}}\n{leave}: {{{{unsubscribe_url}}}}",
        }
        for language, (why, leave) in said.items()
    }
