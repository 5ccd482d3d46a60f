"""The CRM's HTTP API: leads and the work on them, accounts, deals, audit; its own description.

Each part is loaded by the first request that is for it.
"""

from revops.bootstrap import wiring
from revops.bootstrap.crm_api import crm_api

handler = crm_api(wiring())
