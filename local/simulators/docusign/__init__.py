"""DocuSign as this project meets it: the JWT grant, envelopes of eSignature REST v2.1, Connect, and people who sign.

`python -m local.simulators.docusign --port N --state DIR --webhook-url URL`, with `DOCUSIGN_SIM_INTEGRATION_KEY`,
`DOCUSIGN_SIM_USER_ID`, `DOCUSIGN_SIM_ACCOUNT_ID` and `DOCUSIGN_SIM_HMAC_KEYS` (comma between several) in the
environment. Public keys of the integration are added by `POST /_sim/public_keys`.

    oauth.py      the assertion and what it is exchanged for; who the user is
    limits.py     calls of an hour and of thirty seconds
    creation.py   what an envelope must have before it is made
    envelopes.py  envelopes and their states, as the sender sees them
    listing.py    envelopes by custom field, id, transaction or date
    people.py     what recipients do by their own door, and what time does
    documents.py  the PDFs: combined, certificate of completion
    connect.py    what a listener is told, and its signatures
    contract.py   every request and answer against DocuSign's OpenAPI document, every message against its sample
    errors.py     DocuSign's error answers
    vendor.py     routes and controls, as one simulator
"""
