"""Channel webhooks: WhatsApp's and Twilio's; each proves the sender, stores once, answers. Nothing else."""

from revops.api.channels import MAX_BODY, add_channel_webhook_routes
from revops.bootstrap import wiring

use = wiring()
handler = use.api(max_body=MAX_BODY)
add_channel_webhook_routes(handler, use.channel_webhooks())
