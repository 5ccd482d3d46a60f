"""Usage events in, each counted once and never past a cap."""

from revops.api.usage import add_usage_routes
from revops.bootstrap import wiring

use = wiring()
api = use.api()
add_usage_routes(api, use.usage_use_cases())
handler = api
