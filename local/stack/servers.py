"""Servers of the local stack: started in the background, found again by pid file, stopped by SIGTERM.

SIGTERM matters: the emulator writes its state when it is asked to stop; killed, it forgets everything.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from local.stack.place import PROJECT, REGION, Place, digest
from local.stack.progress import Step, StepFailed, step

EMULATOR_PYTHON = PROJECT / ".venv-local" / "bin" / "python"
# By this server a short request of the emulator takes half the CPU of the one it starts by itself (docs/adr/0012). It
# says its own date and name, and its caller is who calls.
_SERVED_BY = (
    *("--http", "httptools", "--loop", "uvloop", "--ws", "none", "--lifespan", "on", "--log-level", "warning"),
    *("--no-access-log", "--no-server-header", "--no-date-header", "--no-proxy-headers"),
    *("--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "5"),
)


@dataclass(frozen=True)
class Server:
    """A background server: how it is started and how one sees that it answers."""

    name: str
    command: list[str]
    health_url: str
    # What it was started from: a server started from something else is started again.
    origin: str
    environment: dict[str, str] = field(default_factory=dict)


def emulator(place: Place) -> Server:
    """ministack: loopback only, IAM enforced, its state kept under the place."""
    port = place.ports()["emulator"]
    state = place.state / "emulator"
    temporary = state / "tmp"
    # Functions inherit this environment, so it holds nothing of the developer's own.
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(state),
        "LANG": "C.UTF-8",
        "TMPDIR": str(temporary),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "AUTH": "true",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state / "services"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / "s3"),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "PYTHONDONTWRITEBYTECODE": "1",
        "LOG_LEVEL": "WARNING",
        # Listeners nobody here needs.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    for folder in (temporary, state / "services", state / "s3"):
        folder.mkdir(parents=True, exist_ok=True)
    if running_pid(place, "emulator") is None:
        _forget_stream_positions(state / "services" / "lambda.json")
    command = [str(EMULATOR_PYTHON), "-m", "uvicorn", "ministack.app:app", "--host", "127.0.0.1", "--port", str(port)]
    command += _SERVED_BY
    origin = digest(json.dumps([command, environment]).encode())
    return Server("emulator", command, f"http://127.0.0.1:{port}/_ministack/health", origin, environment)


def _forget_stream_positions(saved: Path) -> None:
    """The emulator keeps how far each stream was read, but not the stream; left so, it would skip what comes next."""
    if saved.exists():
        content = json.loads(saved.read_text())
        content["payload"].pop("dynamodb_stream_positions", None)
        saved.write_text(json.dumps(content))


def simulator(place: Place, vendor: str, options: list[str], secrets: dict[str, str]) -> Server:
    """A simulated vendor; `secrets`, which it shares with us, reach it by environment."""
    port = place.ports()[vendor]
    command = [sys.executable, "-m", f"local.simulators.{vendor}", "--port", str(port)]
    command += ["--state", str(place.state / "simulators" / vendor), *options]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1", **secrets}
    sources = sorted((PROJECT / "local" / "simulators").rglob("*.py"))
    origin = digest(json.dumps([command, secrets]).encode(), *(path.read_bytes() for path in sources))
    return Server(vendor, command, f"http://127.0.0.1:{port}/_sim/health", origin, environment)


def start_all(place: Place, servers: Sequence[Server]) -> None:
    """Starts servers beside each other: none needs another to come up. Raises StepFailed as `start` does."""
    with ThreadPoolExecutor(len(servers)) as pool:
        for started in [pool.submit(start, place, server) for server in servers]:
            started.result()


def start(place: Place, server: Server, *, patience: float = 60.0) -> bool:
    """Starts `server` unless it already runs from the same sources; True if it was started now.

    Raises StepFailed when it does not answer within `patience` seconds, with the end of its log.
    """
    pid = running_pid(place, server.name)
    if pid and place.read(f"pids/{server.name}.json").get("origin") == server.origin and _answers(server.health_url):
        return False
    with step(f"start {server.name}") as progress:
        if pid:
            stop(place, server.name)
        if _answers(server.health_url):
            raise StepFailed(
                f"start {server.name}",
                f"something else already answers at {server.health_url}",
                f"stop it, or remove {place.state / 'ports.json'} so that other ports are chosen",
            )
        place.logs.mkdir(parents=True, exist_ok=True)
        log = place.logs / f"{server.name}.log"
        with log.open("ab") as sink:
            process = subprocess.Popen(
                server.command,
                cwd=PROJECT,
                env=server.environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        place.write(
            f"pids/{server.name}.json", {"pid": process.pid, "module": server.command[2], "origin": server.origin}
        )
        _wait_until_up(place, server, process, log, patience, progress)
    return True


def _wait_until_up(
    place: Place, server: Server, process: subprocess.Popen[bytes], log: Path, patience: float, progress: Step
) -> None:
    deadline = time.monotonic() + patience
    while not _answers(server.health_url):
        if process.poll() is not None or time.monotonic() > deadline:
            place.forget(f"pids/{server.name}.json")
            if process.poll() is None:
                process.terminate()
            why = (
                f"it ended with code {process.returncode}"
                if process.returncode
                else f"no answer at {server.health_url}"
            )
            tail = "\n        ".join(log.read_text(errors="replace").splitlines()[-8:])
            raise StepFailed(
                f"start {server.name}", f"{why}\n        {tail}", f"read {log}, mend, and run `make up` again"
            )
        progress.note(f"waiting for {server.health_url}")
        time.sleep(0.1)
    progress.note(f"pid {process.pid}")


def running_pid(place: Place, name: str) -> int | None:
    """The pid of the server if it still is the process we started, else None."""
    entry = place.read(f"pids/{name}.json")
    pid = entry.get("pid")
    if not isinstance(pid, int):
        return None
    shown = subprocess.run(["ps", "-o", "stat=,args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, arguments = shown.stdout.strip().partition(" ")
    wanted = entry.get("module", "")
    return pid if state and not state.startswith("Z") and wanted and wanted in arguments else None


def stop(place: Place, name: str, *, patience: float = 60.0) -> bool:
    """Asks the server to stop and waits for it; True if there was one.

    Raises StepFailed if it is still there after `patience` seconds: it is never killed, that would lose its state.
    """
    pid = running_pid(place, name)
    if pid is None:
        place.forget(f"pids/{name}.json")
        return False
    with step(f"stop {name} (pid {pid})"):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + patience
        while running_pid(place, name) is not None:
            _reap(pid)
            if time.monotonic() > deadline:
                raise StepFailed(
                    f"stop {name}", f"pid {pid} is still there after {patience:.0f} s", f"look at it: ps -p {pid}"
                )
            time.sleep(0.05)
    place.forget(f"pids/{name}.json")
    return True


def known(place: Place) -> list[str]:
    """Names of the servers that have a pid file, in the order they are to be stopped."""
    folder = place.state / "pids"
    return sorted((path.stem for path in folder.glob("*.json")), key=lambda name: name == "emulator")


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # another process's child: its own parent reaps it


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            json.loads(response.read() or b"{}")
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False
