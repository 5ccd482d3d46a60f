"""WhatsApp's Cloud API as this project meets it: messages out, signed webhooks in, people who write and read.

`python -m local.simulators.whatsapp --port N --state DIR --webhook-url URL`, with `WHATSAPP_SIM_TOKEN`,
`WHATSAPP_SIM_APP_SECRET`, `WHATSAPP_SIM_VERIFY_TOKEN`, `WHATSAPP_SIM_NUMBER_ID`, `WHATSAPP_SIM_NUMBER` and
`WHATSAPP_SIM_ACCOUNT` in the environment.

    business.py   the business number: its people, its approved templates, what was sent
    people.py     what people do by their own door: write, press, read, be out of reach
    webhooks.py   what a subscriber is told, and its signature
    contract.py   every request against Meta's documented shape, every webhook against Meta's published examples
    errors.py     the Graph API's error answers
    vendor.py     authentication, routes and controls, as one simulator
"""
