"""Tracking: the pixel, the clicks and the unsubscribe links of messages; what web analytics saw."""

from revops.api.page_events import add_page_event_routes
from revops.api.tracking import add_tracking_routes
from revops.bootstrap import wiring

use = wiring()
api = use.api()
add_tracking_routes(api, use.tracking_use_cases())
add_page_event_routes(api, use.page_event_use_cases())
handler = api
