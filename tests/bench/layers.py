"""The layers and functions as `sam build` makes them, unpacked the way Lambda does: the packages under one `python`."""

import functools
from dataclasses import dataclass
from pathlib import Path

from local.stack import build

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Layers:
    """Folders to import from, in the order Lambda has them on the path."""

    dependencies: Path
    domain: Path

    def path(self, function: str = "") -> list[str]:
        own = [str(ROOT / "functions" / function)] if function else []
        return [*own, str(self.dependencies), str(self.domain)]


@functools.cache
def built_layers() -> Layers:
    """Both layers for this machine's processor, through the Makefiles that `sam build` calls; built once for all."""
    return Layers(build.third_party("dependencies"), build.domain())
