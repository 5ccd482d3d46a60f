"""What follows a sale over HTTP: sales orders, invoices, payments, credits, statements, renewals, upsells,
reconciliations, adoptions."""

from revops.api.adoptions import add_adoption_routes
from revops.api.reconcile import add_reconcile_routes
from revops.api.renewals import add_renewal_routes
from revops.api.sales import add_sales_routes
from revops.bootstrap import wiring

use = wiring()
api = use.api()
add_sales_routes(api, use.sales_use_cases())
add_renewal_routes(api, use.renewal_use_cases())
add_reconcile_routes(api, use.reconcile_use_cases())
add_adoption_routes(api, use.adoption_use_cases())
handler = api
