"""Without a public address no message is made: nobody could unsubscribe from it."""

import pytest

from revops.bootstrap import Wiring
from revops.platform.config import Config


@pytest.mark.mission("LEAD-5", "CAP-9")
def test_without_a_public_address_the_alarm_goes_and_no_message() -> None:
    with pytest.raises(RuntimeError, match="PublicUrl"):
        Wiring(Config.from_environment({"PUBLIC_URL": ""})).message_links()
