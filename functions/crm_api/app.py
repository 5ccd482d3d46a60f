"""The CRM's HTTP API: leads, accounts, deals, customers, settings, audit, replay; and the service's own description."""

from revops.api.leads import add_lead_routes
from revops.api.meta import add_meta_routes
from revops.api.operations import add_operation_routes
from revops.api.records import add_record_routes
from revops.api.settings import add_settings_routes
from revops.bootstrap import wiring

use = wiring()
api = use.api()
add_lead_routes(api, use.lead_use_cases())
add_record_routes(api, use.record_use_cases())
add_settings_routes(api, use.settings_use_cases())
add_operation_routes(api, use.operation_use_cases())
add_meta_routes(api, use.meta_use_cases())
handler = api
