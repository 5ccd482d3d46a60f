"""Builds what is deployed locally: the layers for this machine's architecture, a zip per function.

Every artifact is named by the hash of what it is made of, so a second build of the same sources does nothing.
"""

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
LAYER_BUILD = PROJECT / "layers" / "dependencies" / "build.py"
# Layer of third-party code → its lock.
LOCKS = {
    name: PROJECT / "requirements" / f"{lock}.txt"
    for name, lock in (("dependencies", "runtime"), ("training", "training"), ("documents", "documents"))
}
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
    third_party = {name: _pointer(name, _third_party(name, lock)) for name, lock in LOCKS.items()}
    return {**third_party, "domain": _pointer("domain", _domain())}


def _third_party(name: str, lock: Path) -> Path:
    key = digest(lock.read_bytes(), LAYER_BUILD.read_bytes(), platform.machine().encode(), sys.version.encode())
    target = CACHE / f"{name}-{key}"
    if not target.exists():
        with step(f"build the {name} layer for this machine"):
            draft = target.with_name(target.name + ".new")
            command = [
                sys.executable,
                str(LAYER_BUILD),
                "--architecture",
                "host",
                "--lock",
                str(lock),
                "--target",
                str(draft),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                why = (done.stderr or done.stdout).strip()[-1500:]
                raise StepFailed(
                    f"build the {name} layer",
                    why,
                    f"see that the package index is reachable, then: {' '.join(command)}",
                )
            draft.rename(target)
    return target


def _domain() -> Path:
    sources = {path.relative_to(DOMAIN).as_posix(): path.read_bytes() for path in _sources(DOMAIN)}
    key = digest(*(part for name in sorted(sources) for part in (name.encode(), sources[name])))
    target = CACHE / f"domain-{key}"
    if not target.exists():
        with step("build the domain layer"):
            draft = target.with_name(target.name + ".new")
            shutil.rmtree(draft, ignore_errors=True)
            for name, content in sources.items():
                path = draft / "revops" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(draft)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise StepFailed(
                    "build the domain layer", (done.stdout or done.stderr).strip()[-1500:], "mend the module it names"
                )
            draft.rename(target)
    return target


def _pointer(name: str, folder: Path) -> Artifact:
    folder.touch()
    _sweep(f"{name}-")
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
