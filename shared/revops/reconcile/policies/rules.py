"""What a company decides about reconciling and adopting."""

from typing import Annotated, ClassVar

from pydantic import Field

from revops.settings import SettingsDocument


class ReconcileRules(SettingsDocument):
    """Every night from `nightly_hour` (UTC) on, once a day, unless `nightly` is off. An order that was moved less than
    `settle_minutes` ago may still be on its way to the provider and is left alone."""

    SETTING: ClassVar[str] = "reconcile"

    nightly: bool = True
    nightly_hour: Annotated[int, Field(ge=0, le=23)] = 2
    settle_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
