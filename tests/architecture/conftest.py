"""What takes longest comes first, so that no worker is left with it when the others are done."""

import pytest

LONGEST = (
    "test_checkov_has_nothing_to_say",
    "test_the_layers_build_for_lambda_within_their_size",
    "test_cfn_lint_has_nothing_to_say",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.name) if item.name in LONGEST else len(LONGEST))
