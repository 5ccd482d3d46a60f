"""Settings: rules as data, planned before they are applied."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from revops.platform.http import Api
from revops.settings.service import ChangeSettings, SettingsPlan, SettingsView


class SettingsContent(BaseModel):
    """A whole document, as its file in config/ has it."""

    model_config = ConfigDict(
        defer_build=True,
        extra="forbid",
        json_schema_extra={"examples": [{"content": {"grace_days": 7, "follow_up_days": 1}}]},
    )

    content: dict[str, Any]


class SettingsApplication(SettingsContent):
    """A whole document and the version it replaces (0 when none was applied yet)."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"content": {"grace_days": 7, "follow_up_days": 1}, "version": 0}]}
    )

    version: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class SettingsUseCases:
    """What the settings routes call."""

    settings: ChangeSettings


def add_settings_routes(api: Api, use: SettingsUseCases) -> None:
    """Registers the routes."""

    @api.get("/api/v1/settings/{name}", "A document in force", tag="settings", model=SettingsView, errors=(401, 404))
    def get_settings(name: str) -> SettingsView:
        return use.settings.read(name, api.user_call())

    @api.post(
        "/api/v1/settings/{name}/plan",
        "What applying a document would change and would have meant; writes nothing",
        tag="settings",
        model=SettingsPlan,
        errors=(401, 404, 413),
    )
    def plan_settings(name: str, body: SettingsContent) -> SettingsPlan:
        return use.settings.plan(name, body.content, api.user_call())

    @api.put(
        "/api/v1/settings/{name}",
        "Apply a document over the version that was read",
        tag="settings",
        model=SettingsView,
        errors=(401, 403, 404, 409, 413),
    )
    def put_settings(name: str, body: SettingsApplication) -> SettingsView:
        return use.settings.apply(name, body.content, body.version, api.user_call())
