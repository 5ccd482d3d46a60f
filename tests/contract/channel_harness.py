"""The channel and e-sign simulators in this process."""

import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from local.simulators.common import Clock, Faults, Outbox, RetryPolicy, Simulator, Store, Vendor, World

IMPATIENT = RetryPolicy(first_seconds=0.02, factor=1.0, longest_seconds=0.05, tries=20, timeout_seconds=5.0)


@contextmanager
def running(
    folder: Path, make: Callable[[World], Vendor], config: dict[str, Any] | None = None, batch: int = 1
) -> Iterator[httpx.Client]:
    """A simulator on loopback, with its state in a folder."""
    store = Store(folder)
    faults = Faults(store)
    world = World(store, Clock(store), faults, Outbox(store, faults, IMPATIENT, batch), config or {})
    settings = uvicorn.Config(Simulator(world, make(world)), log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(settings)
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        with httpx.Client(base_url=f"http://127.0.0.1:{door.getsockname()[1]}", timeout=20) as client:
            yield client
        server.should_exit = True
        thread.join(timeout=10)


def word() -> str:
    """A secret made for one test."""
    return secrets.token_hex(16)
