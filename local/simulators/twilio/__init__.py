"""Twilio's voice webhooks as this project meets them: people who call, TwiML carried out, reports of what became of it.

`python -m local.simulators.twilio --port N --state DIR --webhook-url URL`, with `TWILIO_SIM_AUTH_TOKEN` and
`TWILIO_SIM_ACCOUNT` in the environment. The address is that of incoming calls; reports go to the one beside it.

    calls.py      a call from its first ring to its end
    twiml.py      what a webhook may answer, read strictly
    signature.py  X-Twilio-Signature
    vendor.py     the doors, as one simulator
"""
