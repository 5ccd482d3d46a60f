"""Order forms over HTTP: handed in, read, reviewed, signed, resumed, cancelled; what they would cost; their tenants."""

from revops.api.orders import MAX_BODY, add_order_routes
from revops.api.tenants import add_tenant_routes
from revops.api.what_if import add_what_if_routes
from revops.bootstrap import wiring

use = wiring()
api = use.api(max_body=MAX_BODY)
add_order_routes(api, use.order_use_cases())
add_what_if_routes(api, use.try_terms())
add_tenant_routes(api, use.tenant_use_cases())
handler = api
