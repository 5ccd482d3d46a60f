"""Lead intake: the public form, partners' leads, attendees of webinars."""

from revops.api.intake import add_intake_routes
from revops.api.webinars import add_webinar_routes
from revops.bootstrap import wiring

use = wiring()
api = use.api()
add_intake_routes(api, use.intake_use_cases())
add_webinar_routes(api, use.webinar_use_cases())
handler = api
