"""A page and a small JSON API over the mail that went out through the emulator's SES.

The emulator accepts SES v2 `SendEmail` (simple, raw and template content) and shows what it sent at
`GET /_ministack/ses/messages`, from memory only. This view collects from there and keeps what it has seen, so
the mail outlives a restart of either. Senders need nothing but the emulator as their endpoint and a verified
identity; those whose mails carry headers of their own send by the door here, which keeps them.

`python -m local.simulators.mail --port N --state DIR --emulator-url URL`

    mailbox.py    messages kept, filtered by recipient; a header with a line break is refused
    collector.py  reads the emulator
    door.py       SES's SendEmail, handed on to the emulator; headers and fault rules
    pages.py      the HTML, every value escaped
    server.py     routes and the collecting task
"""
