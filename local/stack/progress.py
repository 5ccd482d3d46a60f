"""What the terminal shows: one line per step, a sign of life every two seconds, and what to do when one fails."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class StepFailed(Exception):
    """A step that cannot go on. Carries what failed, why, and what to do next."""

    def __init__(self, what: str, why: str, then: str) -> None:
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why
        self.then = then

    def report(self) -> str:
        """The three lines a person needs."""
        return f"✗ {self.what}\n  why:  {self.why}\n  next: {self.then}"


class Step:
    """A running step; `note` says how far it is."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.detail = ""

    def note(self, detail: str) -> None:
        self.detail = detail


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Shows `title` while the block runs, ticking when it takes over two seconds, and its time at the end."""
    running = Step(title)
    started = time.monotonic()
    done = threading.Event()
    interactive = sys.stdout.isatty()

    def tick() -> None:
        while not done.wait(2.0):
            seconds = time.monotonic() - started
            line = f"  … {title} {running.detail} ({seconds:.0f} s)"
            print(f"\r\033[K{line}" if interactive else line, end="" if interactive else "\n", flush=True)

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield running
    except BaseException:
        done.set()
        ticker.join()
        print(("\r\033[K" if interactive else "") + f"  ✗ {title}", flush=True)
        raise
    done.set()
    ticker.join()
    detail = f" — {running.detail}" if running.detail else ""
    print(("\r\033[K" if interactive else "") + f"  ✓ {title}{detail} ({time.monotonic() - started:.1f} s)", flush=True)
