"""The layers and functions as `sam build` makes them, unpacked the way Lambda does: the packages under one `python`."""

import functools
import hashlib
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".local" / "bench"


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
    """Builds both layers through the Makefiles that `sam build` calls, for this machine's processor.

    The dependencies stay until their lock or their build changes; the domain is built anew each time.
    """
    sources = [ROOT / "requirements" / "runtime.txt", ROOT / "layers" / "dependencies" / "build.py"]
    key = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources) + platform.machine().encode())
    dependencies = PLACE / f"dependencies-{key.hexdigest()[:16]}"
    if not dependencies.exists():
        for old in PLACE.glob("dependencies-*"):
            shutil.rmtree(old)
        draft = PLACE / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        _make("dependencies", "build-DependenciesLayer", draft)
        draft.rename(dependencies)
    domain = PLACE / "domain"
    shutil.rmtree(domain, ignore_errors=True)
    _make("domain", "build-DomainLayer", domain)
    return Layers(dependencies / "python", domain / "python")


def _make(layer: str, target: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    folder_of_layer = ROOT / "layers" / layer
    settings = [f"PYTHON={sys.executable}", f"ARTIFACTS_DIR={folder}", "LAYER_ARCHITECTURE=host"]
    subprocess.run(["make", "-s", "-C", str(folder_of_layer), *settings, target], check=True)
