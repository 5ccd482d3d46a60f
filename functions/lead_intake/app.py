"""Lead intake: one submission in, one owned lead out, or the lead it duplicates."""

from revops.api.intake import add_intake_routes
from revops.bootstrap import wiring

use = wiring()
api = use.api()
add_intake_routes(api, use.intake_use_cases())
handler = api
