"""How forms are sent out for signature: rules as data (ORD-3)."""

from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import Field

from revops.settings import SettingsDocument


class SigningRules(SettingsDocument):
    """What goes with an envelope, and how often one that waits is looked at."""

    SETTING: ClassVar[str] = "signing"

    expires_after_days: Annotated[int, Field(ge=1, le=365)] = 30
    """An envelope nobody signed by then ends the order."""
    remind_after_days: Annotated[int, Field(ge=0, le=365)] = 3
    """The provider reminds the signatory so often; 0: never."""
    title: Annotated[str, Field(min_length=1, max_length=90)] = "Please sign our order form"
    message: Annotated[str, Field(max_length=2000)] = (
        "Please read the order form and sign it. If something is not as agreed, decline and say why; "
        "we will be in touch."
    )
    check_minutes: Annotated[int, Field(ge=5, le=1440)] = 60
    """What a lost webhook costs at most."""

    @property
    def check_after(self) -> timedelta:
        """How long after a look the next one is due."""
        return timedelta(minutes=self.check_minutes)
