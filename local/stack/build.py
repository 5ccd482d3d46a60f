"""Builds what is deployed locally: the layers for this machine's architecture, a zip per function.

Every artifact is named by the hash of what it is made of, so a second build of the same sources does nothing.
"""

import fcntl
import io
import platform
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from local.stack.place import PROJECT, digest
from local.stack.progress import StepFailed, step

FUNCTIONS = PROJECT / "functions"
DOMAIN = PROJECT / "shared" / "revops"
LAYERS = PROJECT / "layers"
THIRD_PARTY = ("dependencies", "training", "documents")
CACHE = PROJECT / ".local" / "build"

UNUSED_SECONDS = 14 * 24 * 3600

# A fixed time stamp makes equal content equal bytes.
ZIP_TIME = (2020, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Artifact:
    """A zip to upload; `key` names its content."""

    key: str
    content: bytes


def functions(names: Iterable[str]) -> dict[str, Artifact]:
    """A zip of each functions/<name> folder. Raises StepFailed if one has no app.py."""
    artifacts = {}
    for name in names:
        folder = FUNCTIONS / name
        if not (folder / "app.py").exists():
            raise StepFailed(
                f"build {name}",
                f"{folder / 'app.py'} is missing",
                "write the function, or take it out of template.yaml",
            )
        content = _zip({path.relative_to(folder).as_posix(): path.read_bytes() for path in _sources(folder)})
        artifacts[name] = Artifact(f"functions/{name}-{digest(content)}.zip", content)
    return artifacts


def layers() -> dict[str, Artifact]:
    """The layers, by the name of their folder under layers/.

    The emulator unpacks a layer afresh for every worker it starts (seconds of disk work each), so the zip holds
    one `.pth` line that puts the folder built here on the path instead.
    """
    folders = {name: third_party(name) for name in THIRD_PARTY} | {"domain": domain()}
    return {name: _pointer(name, folder) for name, folder in folders.items()}


def third_party(name: str, architecture: str = "host") -> Path:
    """The `python` folder of a layer of third-party code for `architecture` (host, arm64, x86_64), ready to import.

    Built through the Makefile `sam build` calls, once: the folder is named by the lock, by what builds, by processor
    and Python, so it is made of exactly these or not there. The stack, tests and benches share it.
    """
    folder = LAYERS / name
    made_of = (folder / "requirements.txt", folder / "build.py", folder / "Makefile")
    machine = platform.machine() if architecture == "host" else architecture
    key = digest(*(path.read_bytes() for path in made_of), machine.encode(), architecture.encode())
    return _built(name, f"{architecture}-{key}", architecture)


def domain() -> Path:
    """The `python` folder of the layer that holds our own package, shared in the same way."""
    sources = {path.relative_to(DOMAIN).as_posix(): path.read_bytes() for path in _sources(DOMAIN)}
    named = (part for name in sorted(sources) for part in (name.encode(), sources[name]))
    return _built("domain", digest(*named, (LAYERS / "domain" / "Makefile").read_bytes()), "host")


def _built(name: str, key: str, architecture: str) -> Path:
    target = CACHE / f"{name}-{key}-{digest(sys.version.encode())}"
    CACHE.mkdir(parents=True, exist_ok=True)
    # One process builds, others wait for it; what a killed one left is made anew.
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            with step(f"build the {name} layer for this machine" if architecture == "host" else f"build {target.name}"):
                draft = target.with_name(target.name + ".new")
                shutil.rmtree(draft, ignore_errors=True)
                draft.mkdir()
                _make(name, draft, architecture)
                draft.rename(target)
        target.touch()
        _sweep(f"{name}-")
    return target / "python"


def _make(name: str, draft: Path, architecture: str) -> None:
    settings = [f"PYTHON={sys.executable}", f"ARTIFACTS_DIR={draft}", f"LAYER_ARCHITECTURE={architecture}"]
    command = ["make", "-s", "-C", str(LAYERS / name), *settings, f"build-{name.title()}Layer"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr or done.stdout).strip()[-1500:]
        after = "mend the module it names" if name == "domain" else "see that the package index is reachable"
        raise StepFailed(f"build the {name} layer", why, f"{after}, then: {' '.join(command)}")


def _pointer(name: str, folder: Path) -> Artifact:
    site = f"python/lib/python3.{sys.version_info.minor}/site-packages"
    content = _zip({f"{site}/{name}.pth": f"import sys; sys.path.insert(0, {str(folder)!r})\n".encode()})
    return Artifact(f"layers/{name}-{digest(content)}.zip", content)


def _sweep(prefix: str) -> None:
    """Builds nobody deployed for two weeks go; workers of a running stack may still start from a younger one."""
    for old in CACHE.glob(f"{prefix}*"):
        if time.time() - old.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(old)


def _sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, ZIP_TIME)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def main() -> None:
    """Every layer of third-party code that the stack and the tests need, for this machine and for Lambda."""
    for architecture in ("host", "arm64"):
        for name in THIRD_PARTY:
            third_party(name, architecture)


if __name__ == "__main__":
    main()
