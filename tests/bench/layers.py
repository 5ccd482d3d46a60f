"""The layers and functions as `sam build` makes them, unpacked the way Lambda does: the packages under one `python`."""

import fcntl
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

    What was built stays until its sources change. One process builds, others wait for it.
    """
    PLACE.mkdir(parents=True, exist_ok=True)
    with (PLACE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        third_party = [ROOT / "requirements" / "runtime.txt", ROOT / "layers" / "dependencies" / "build.py"]
        package = [path for path in sorted((ROOT / "shared" / "revops").rglob("*")) if path.is_file()]
        own = [path for path in package if "__pycache__" not in path.parts]
        return Layers(
            _built("dependencies", "build-DependenciesLayer", third_party),
            _built("domain", "build-DomainLayer", [*own, ROOT / "layers" / "domain" / "Makefile"]),
        )


def _built(layer: str, target: str, sources: list[Path]) -> Path:
    key = hashlib.sha256(platform.machine().encode())
    for path in sources:
        key.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    folder = PLACE / f"{layer}-{key.hexdigest()[:16]}"
    if not folder.exists():
        for old in PLACE.glob(f"{layer}-*"):
            shutil.rmtree(old)
        draft = PLACE / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        _make(layer, target, draft)
        draft.rename(folder)
    return folder / "python"


def _make(layer: str, target: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    folder_of_layer = ROOT / "layers" / layer
    settings = [f"PYTHON={sys.executable}", f"ARTIFACTS_DIR={folder}", "LAYER_ARCHITECTURE=host"]
    subprocess.run(["make", "-s", "-C", str(folder_of_layer), *settings, target], check=True)
