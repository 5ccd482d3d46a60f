"""Health, and the API's own description."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, ConfigDict, Field

from revops.kernel import DomainError
from revops.platform.http import Api
from revops.platform.problems import JSON


class Health(BaseModel):
    """`ok` when the table answers."""

    model_config = ConfigDict(defer_build=True)

    status: str = Field(examples=["ok"])
    table: str = Field(examples=["ok"])
    release: str = Field(examples=["$LATEST"])


@dataclass(frozen=True, slots=True)
class MetaUseCases:
    """What the routes about the service itself call."""

    check_table: Callable[[], None]
    release: str


def add_meta_routes(api: Api, use: MetaUseCases) -> None:
    """Registers the routes."""

    @api.get("/api/v1/health", "Whether the service and its table answer", tag="meta", model=Health, security=[])
    def get_health() -> Response[Health]:
        try:
            use.check_table()
        except DomainError:
            down = Health(status="degraded", table="not answering", release=use.release)
            return Response(status_code=503, content_type=JSON, body=down)
        return Response(status_code=200, content_type=JSON, body=Health(status="ok", table="ok", release=use.release))

    @api.get("/api/v1/openapi.json", "This API as OpenAPI 3.1", tag="meta", security=[])
    def get_openapi() -> Response[dict[str, Any]]:
        return Response(status_code=200, content_type=JSON, body=openapi_document())


def openapi_document() -> dict[str, Any]:
    """The generated document, as it is packed with the code."""
    text = resources.files("revops.api").joinpath("openapi.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
