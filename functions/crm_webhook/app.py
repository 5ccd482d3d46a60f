"""HubSpot webhook: proves the sender, stores each event once, acknowledges. Nothing else."""

from revops.api.hubspot import MAX_BODY, add_hubspot_webhook_route
from revops.bootstrap import wiring

use = wiring()
handler = use.api(max_body=MAX_BODY)
add_hubspot_webhook_route(handler, use.receive_hubspot_delivery())
