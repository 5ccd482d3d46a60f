"""A settings document is a typed set of rules; a settings record is one applied version of it."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from revops.table import Entity


class SettingsDocument(BaseModel):
    """Base of every set of rules. The defaults of a subclass are what holds before anything is applied.

    `SETTING` is the document's name: its file is `config/<name>.json`, its route `/api/v1/settings/<name>`. A document
    that a job writes has no file (`IN_FILE` False), so that applying the files does not undo the job.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", allow_inf_nan=False)

    SETTING: ClassVar[str]
    IN_FILE: ClassVar[bool] = True

    @classmethod
    def applied(cls, content: Mapping[str, Any]) -> Self:
        """The document as it was applied, perhaps by another release: a field that no longer exists is passed over, so
        that its readers go on. Raises ValueError when what is left does not fit."""
        return cls.model_validate({name: value for name, value in content.items() if name in cls.model_fields})


class SettingsRecord(Entity):
    """The applied version of a document; its id is the document's name."""

    content: dict[str, Any]
