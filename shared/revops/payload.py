"""What every event of the catalogue says something with: the base of payloads."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Payload(BaseModel):
    """What an event says. Subclasses name the event by their class name."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")
    schema_version: ClassVar[int] = 1

    @classmethod
    def event_name(cls) -> str:
        return cls.__name__
