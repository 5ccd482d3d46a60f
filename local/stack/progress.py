"""What the terminal shows: one line per step, a sign of life every two seconds, and what to do when one fails."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
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
def alive(tell: Callable[[float], str], every: float = 2.0) -> Iterator[None]:
    """While the block runs, shows every so many seconds what `tell` says of the seconds so far. On a terminal each such
    line takes the place of the one before it, and the last one goes."""
    started = time.monotonic()
    done = threading.Event()

    def tick() -> None:
        while not done.wait(every):
            show(tell(time.monotonic() - started), passing=True)

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()
        if sys.stdout.isatty():
            print("\r\033[K", end="", flush=True)


def show(line: str, *, passing: bool = False) -> None:
    """A line, in the place of a passing one that stands there."""
    if sys.stdout.isatty():
        print(f"\r\033[K{line}", end="" if passing else "\n", flush=True)
    else:
        print(line, flush=True)


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Shows `title` while the block runs, ticking when it takes over two seconds, and its time at the end."""
    running = Step(title)
    started = time.monotonic()
    try:
        with alive(lambda seconds: f"  … {title} {running.detail} ({seconds:.0f} s)"):
            yield running
    except BaseException:
        show(f"  ✗ {title}")
        raise
    detail = f" — {running.detail}" if running.detail else ""
    show(f"  ✓ {title}{detail} ({time.monotonic() - started:.1f} s)")
