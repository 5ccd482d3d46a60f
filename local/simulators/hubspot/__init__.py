"""HubSpot as this project meets it: CRM objects (2026-09), properties and owners (v3), signed notifications.

`python -m local.simulators.hubspot --port N --state DIR --webhook-url URL`, with `HUBSPOT_SIM_TOKEN`,
`HUBSPOT_SIM_CLIENT_SECRET` and `HUBSPOT_SIM_PORTAL_ID` in the environment.

    catalogue.py      object types, their default properties, pipelines and association types
    portal.py         what one portal holds: settings, definitions, owners, records, links
    values.py         what a property accepts and how it is stored
    records.py        create, read, update, upsert, archive: planned first, then made
    batches.py        the same a hundred at a time
    search.py         filters over the records as the lagging index sees them
    associations.py   links between records
    properties.py     property definitions, custom and unique ones too
    notifications.py  what a change looks like to a subscriber, and its signature
    limits.py         the portal's rate limits
    errors.py         HubSpot's error answers
    shapes.py         the least a request body must be
    contract.py       every request and answer against the vendor's OpenAPI documents
    routing.py        the lookup of routes; objects.py, links.py and schema.py hold them
    vendor.py         authentication, limits, routes and a person's edits, as one simulator
"""
