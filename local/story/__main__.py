"""`python -m local.story`."""

import argparse
import json
import sys
from pathlib import Path

from local import story
from local.story import StoryFailed, tell


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.story", description=story.__doc__)
    parser.add_argument("--stack", type=Path, default=Path(".local/stack.json"))
    path = parser.parse_args().stack
    if not path.exists():
        print(f"✗ {path} is not there\n  why:  no stack was started here\n  next: make up", file=sys.stderr)
        return 1
    try:
        tell(json.loads(path.read_text(encoding="utf-8")))
    except StoryFailed as error:
        print(f"\n{error.report()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
