"""Settings from files: `plan` shows what config/ would change and what that would have meant, `apply` does it.

python -m local.settings_files plan|apply [name …]
"""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from local.aws import wiring_of
from revops.bootstrap import Wiring, settings_documents
from revops.kernel import CallContext, DomainError, system_call

CONFIG = Path(__file__).parents[1] / "config"


def apply_files(wiring: Wiring, call: CallContext, names: Iterable[str] = ()) -> list[str]:
    """Applies the files whose content differs from what is in force; returns the names of those."""
    applied = []
    for name, content in _files(names):
        plan = wiring.change_settings.plan(name, content, call)
        if plan.differences or plan.current_version == 0:
            wiring.change_settings.apply(name, content, plan.current_version, call)
            applied.append(name)
    return applied


def _files(names: Iterable[str]) -> list[tuple[str, dict[str, object]]]:
    wanted = sorted(names) or sorted(settings_documents())
    return [(name, json.loads((CONFIG / f"{name}.json").read_text(encoding="utf-8"))) for name in wanted]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.settings_files", description=__doc__)
    parser.add_argument("verb", choices=["plan", "apply"])
    parser.add_argument("names", nargs="*", help="documents; all by default")
    parser.add_argument("--stack", type=Path, default=Path(".local/stack.json"))
    chosen = parser.parse_args()
    if not chosen.stack.exists():
        print(f"✗ {chosen.stack} is not there\n  why:  no stack was started here\n  next: make up", file=sys.stderr)
        return 1
    wiring = wiring_of(json.loads(chosen.stack.read_text(encoding="utf-8")))
    call = system_call("settings_files")
    try:
        if chosen.verb == "apply":
            applied = apply_files(wiring, call, chosen.names)
            print("applied: " + (", ".join(applied) or "nothing differs"))
            return 0
        for name, content in _files(chosen.names):
            plan = wiring.change_settings.plan(name, content, call)
            print(f"{name} (version {plan.current_version}): " + ("differs" if plan.differences else "no difference"))
            for difference in plan.differences:
                print(f"  {difference.field}: {json.dumps(difference.old)} → {json.dumps(difference.new)}")
            for line in plan.preview if plan.differences else ():
                print(f"  would have meant: {line}")
    except (DomainError, FileNotFoundError) as error:
        print(f"✗ settings\n  why:  {error}\n  next: correct the file in config/ and plan again", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
