"""Adobe Acrobat Sign as this project meets it: OAuth, agreements of REST v6, webhooks with their echo, people who sign.

`python -m local.simulators.adobe_sign --port N --state DIR --webhook-url URL`, with `ADOBE_SIGN_SIM_CLIENT_ID`,
`ADOBE_SIGN_SIM_CLIENT_SECRET` and `ADOBE_SIGN_SIM_REFRESH_TOKEN` in the environment.

    oauth.py       a refresh token is exchanged for an access token
    transient.py   documents uploaded to be used within seven days
    agreements.py  agreements and their states, as their sender sees them
    shapes.py      how REST v6 shows an agreement, its members, its history
    people.py      what participants do by their own door, and what time does
    documents.py   the PDFs: the combined document, the audit trail
    webhooks.py    registrations, the verification of intent, notifications and their echo
    contract.py    every request and answer against Adobe's Swagger, every notification against its template
    errors.py      Adobe's error answers
    vendor.py      routes and controls, as one simulator
"""
