"""What administrators do over HTTP: users, keys, settings, dead letters, replay."""

from revops.api.keys import add_key_routes
from revops.api.operations import add_operation_routes
from revops.api.settings import add_settings_routes
from revops.api.users import add_user_routes
from revops.bootstrap import wiring

use = wiring()
api = use.api()
add_user_routes(api, use.user_use_cases())
add_settings_routes(api, use.settings_use_cases())
add_key_routes(api, use.administer_keys())
add_operation_routes(api, use.operation_use_cases())
handler = api
