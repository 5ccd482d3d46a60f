"""Settings from the files in config/: what they would change, and applying them.

`python -m local.operate settings plan|apply` is the command.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from revops.bootstrap import Wiring, settings_documents
from revops.kernel import CallContext, NotFound

CONFIG = Path(__file__).parents[1] / "config"


def plan_files(wiring: Wiring, call: CallContext, names: Iterable[str] = ()) -> Iterator[str]:
    """Line by line: each document, what differs, and what that would have meant for recent history."""
    for name, content in _files(names):
        plan = wiring.change_settings.plan(name, content, call)
        yield f"{name} (version {plan.current_version}): " + ("differs" if plan.differences else "no difference")
        for difference in plan.differences:
            yield f"  {difference.field}: {json.dumps(difference.old)} → {json.dumps(difference.new)}"
        for line in plan.preview if plan.differences else ():
            yield f"  would have meant: {line}"


def apply_files(wiring: Wiring, call: CallContext, names: Iterable[str] = ()) -> list[str]:
    """Applies the files whose content differs from what is in force; returns the names of those."""
    applied = []
    for name, content in _files(names):
        plan = wiring.change_settings.plan(name, content, call)
        if plan.differences or plan.current_version == 0:
            wiring.change_settings.apply(name, content, plan.current_version, call)
            applied.append(name)
    return applied


def _files(names: Iterable[str]) -> list[tuple[str, dict[str, Any]]]:
    """The files by name, all of them if none is named. Raises NotFound for a document that has none."""
    in_files = {name for name, document in settings_documents().items() if document.IN_FILE}
    wanted = sorted(names) or sorted(in_files)
    strange = [name for name in wanted if name not in in_files]
    if strange:
        raise NotFound("a file in config/ for", ", ".join(strange))
    return [(name, json.loads((CONFIG / f"{name}.json").read_text(encoding="utf-8"))) for name in wanted]
