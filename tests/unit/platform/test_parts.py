"""An API in parts: each path goes to the part that answers it, and only that part is made."""

from typing import Any

import pytest

from revops.bootstrap import wiring
from revops.bootstrap.crm_api import crm_api
from revops.platform.http import Api
from revops.platform.parts import Part, PartedApi
from tests.builders.requests import KnownCallers, ask, http_event


def test_a_request_makes_the_part_it_is_for_and_no_other() -> None:
    made: list[str] = []

    def part(name: str, *paths: str) -> Part:
        def make() -> Api:
            made.append(name)
            return Api(KnownCallers())

        return Part(paths, make)

    api = PartedApi(part("one", "/a", "/a/{x}"), part("two", "/a/{x}/b", "/a/c"), part("last", "/z"))
    for path, number in [("/a", 0), ("/a/1", 0), ("/a/c", 1), ("/a/1/b", 1), ("/z", 2), ("/a/1/2/3", 2), ("", 2)]:
        assert api.number_of(path) == number, path
    assert made == []
    for _ in range(2):
        assert ask(api, "GET", "/a/1/b").status == 404
    assert made == ["two"]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLE_NAME", "table")
    monkeypatch.setenv("AWS_REGION", "eu-west-2")


def test_every_part_of_the_crm_api_answers_exactly_the_paths_it_is_said_to(environment: None) -> None:
    api = crm_api(wiring())
    said = [path for number in range(len(api)) for path in api.paths(number)]
    assert len(said) == len(set(said)), "a path is of one part"
    for number in range(len(api)):
        assert api.part(number).paths == api.paths(number)
        for path in api.paths(number):
            assert api.number_of(path.replace("{", "").replace("}", "")) == number, path


def test_nobodys_path_is_a_problem(environment: None) -> None:
    answer: Any = crm_api(wiring())(http_event("GET", "/api/v1/nothing/here"), None)
    assert answer["statusCode"] == 404
