"""The CRM's API in parts: which paths belong to whose routes. A request loads the part it is for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from revops.platform.parts import Part, PartedApi

if TYPE_CHECKING:
    from revops.bootstrap.routes import Wiring
    from revops.platform.http import Api

_LEAD = "/api/v1/leads/{lead_id}"


def crm_api(use: Wiring) -> PartedApi:
    """The handler; the last part answers what no path is for."""

    def part(register: Callable[[Api, Wiring], None], paths: Sequence[str]) -> Part:
        def make() -> Api:
            api = use.api()
            register(api, use)
            return api

        return Part(paths, make)

    return PartedApi(*(part(register, paths) for register, paths in _PARTS))


def _leads(api: Api, use: Wiring) -> None:
    from revops.api.leads import add_lead_routes

    add_lead_routes(api, use.lead_use_cases())


def _consents(api: Api, use: Wiring) -> None:
    from revops.api.consents import add_consent_routes

    add_consent_routes(api, use.lead_consents())


def _engagement(api: Api, use: Wiring) -> None:
    from revops.api.engagement import add_engagement_routes

    add_engagement_routes(api, use.engagement_use_cases())


def _nurture(api: Api, use: Wiring) -> None:
    from revops.api.nurture import add_nurture_routes

    add_nurture_routes(api, use.nurture_use_cases())


def _qualification(api: Api, use: Wiring) -> None:
    from revops.api.qualification import add_qualification_routes

    add_qualification_routes(api, use.qualification_use_cases())


def _conversion(api: Api, use: Wiring) -> None:
    from revops.api.conversion import add_conversion_routes

    add_conversion_routes(api, use.conversion_use_cases())


def _duplicates(api: Api, use: Wiring) -> None:
    from revops.api.duplicates import add_duplicate_routes

    add_duplicate_routes(api, use.duplicate_use_cases())


def _scoring(api: Api, use: Wiring) -> None:
    from revops.api.scoring import add_scoring_routes

    add_scoring_routes(api, use.scoring_use_cases())


def _imports(api: Api, use: Wiring) -> None:
    from revops.api.imports import add_import_routes

    add_import_routes(api, use.import_use_cases())


def _assignment(api: Api, use: Wiring) -> None:
    from revops.api.assignment import add_assignment_routes

    add_assignment_routes(api, use.assignment_use_cases())


def _tasks(api: Api, use: Wiring) -> None:
    from revops.api.tasks import add_task_routes

    add_task_routes(api, use.task_use_cases())


def _activities(api: Api, use: Wiring) -> None:
    from revops.api.activities import add_activity_routes

    add_activity_routes(api, use.activity_use_cases())


def _records(api: Api, use: Wiring) -> None:
    from revops.api.records import add_record_routes

    add_record_routes(api, use.record_use_cases())


def _meta(api: Api, use: Wiring) -> None:
    from revops.api.meta import add_meta_routes

    add_meta_routes(api, use.meta_use_cases())


_PARTS: tuple[tuple[Callable[[Api, Wiring], None], Sequence[str]], ...] = (
    (
        _leads,
        (
            "/api/v1/leads",
            "/api/v1/leads/counts",
            _LEAD,
        ),
    ),
    (
        _consents,
        (
            f"{_LEAD}/consents",
            f"{_LEAD}/do-not-disturb",
        ),
    ),
    (_engagement, (f"{_LEAD}/engagement",)),
    (
        _nurture,
        (
            f"{_LEAD}/nurture",
            f"{_LEAD}/nurture/start",
            f"{_LEAD}/nurture/stop",
            "/api/v1/nurture/preview",
        ),
    ),
    (
        _qualification,
        (
            f"{_LEAD}/qualification",
            f"{_LEAD}/qualification/outcome",
            f"{_LEAD}/disqualify",
            f"{_LEAD}/recycle",
        ),
    ),
    (
        _conversion,
        (
            f"{_LEAD}/conversion",
            f"{_LEAD}/conversion/proposal",
            f"{_LEAD}/conversion/undo",
        ),
    ),
    (
        _duplicates,
        (
            "/api/v1/duplicates",
            "/api/v1/duplicates/{pair_id}/decision",
            "/api/v1/merges",
            "/api/v1/merges/{merge_id}",
            "/api/v1/merges/{merge_id}/undo",
        ),
    ),
    (
        _scoring,
        (
            f"{_LEAD}/score",
            "/api/v1/scoring/model",
            "/api/v1/scoring/report",
        ),
    ),
    (
        _imports,
        (
            "/api/v1/imports",
            "/api/v1/imports/{import_id}",
            "/api/v1/imports/{import_id}/result",
            "/api/v1/imports/{import_id}/cancel",
        ),
    ),
    (
        _assignment,
        (
            "/api/v1/leads/response-times",
            f"{_LEAD}/owner",
        ),
    ),
    (
        _tasks,
        (
            "/api/v1/tasks",
            "/api/v1/tasks/{task_id}",
        ),
    ),
    (_activities, ("/api/v1/activities",)),
    (
        _records,
        (
            "/api/v1/accounts/{account_id}",
            "/api/v1/contacts/{contact_id}",
            "/api/v1/opportunities/{opportunity_id}",
            "/api/v1/pipeline/counts",
            "/api/v1/audit/{entity_id}",
        ),
    ),
    (
        _meta,
        (
            "/api/v1/health",
            "/api/v1/openapi.json",
        ),
    ),
)
