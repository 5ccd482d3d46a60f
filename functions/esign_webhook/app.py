"""E-sign webhooks: DocuSign's and Adobe Sign's; each proves the sender, stores once, answers. Nothing else."""

from revops.api.esign import MAX_BODY, add_esign_webhook_routes
from revops.bootstrap import wiring

use = wiring()
handler = use.api(max_body=MAX_BODY)
add_esign_webhook_routes(handler, use.esign_webhooks())
