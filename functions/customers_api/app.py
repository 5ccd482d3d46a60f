"""Customers over HTTP: profiles, assets, cancellations, resyncs, and the reports on payments."""

from revops.api.cancellations import add_cancellation_routes
from revops.api.customers import add_customer_routes
from revops.api.reports import add_report_routes
from revops.bootstrap import wiring

use = wiring()
api = use.api()
add_customer_routes(api, use.customer_use_cases())
add_cancellation_routes(api, use.cancellation_use_cases())
add_report_routes(api, use.report_use_cases())
handler = api
