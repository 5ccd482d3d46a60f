"""Order forms over HTTP: handed in, read, reviewed, signed, resumed, cancelled."""

from revops.api.orders import MAX_BODY, add_order_routes
from revops.bootstrap import wiring

use = wiring()
api = use.api(max_body=MAX_BODY)
add_order_routes(api, use.order_use_cases())
handler = api
