"""Several actors, one of them running: where they take turns is decided by the seed alone.

Every actor has a thread of its own, and exactly one of them holds the baton; the others wait for it. The baton can
change hands only where a call crosses a port (`turn`), which is where a Lambda can be overtaken by another one. The
seeded generator says whether it does and who gets it, so an interleaving is a function of the seed: no clock, no
preemption and no lock of the operating system has a say. Threads are used for their stacks, not for parallelism; that
lets unchanged synchronous services be stopped in the middle.
"""

import random
import threading
from collections.abc import Callable, Mapping


class Baton:
    """Passes the turn among actors. `restlessness` is how likely it changes hands at each call."""

    def __init__(self, rng: random.Random, restlessness: float) -> None:
        self.holder = ""
        self.broken: list[BaseException] = []
        self._rng = rng
        self._restlessness = restlessness
        self._gates: dict[str, threading.Lock] = {}
        self._alive: list[str] = []
        self._ended = threading.Lock()
        self._turns = 0
        self._asleep: dict[str, int] = {}
        self._looking: dict[str, Callable[[], bool]] = {}
        self._sleepiness = rng.choice((0.0, 0.01, 0.03))

    def run(self, actors: Mapping[str, Callable[[], None]]) -> None:
        """Runs all actors to their ends. What escapes one is kept in `broken`."""
        if not actors:
            return
        self._alive = list(actors)
        self._ended.acquire()
        threads = []
        for name, act in actors.items():
            gate = self._gates[name] = threading.Lock()
            gate.acquire()
            thread = threading.Thread(target=self._play, args=(name, act), daemon=True)
            thread.start()
            threads.append(thread)
        self._hand_to(self._next())
        self._ended.acquire()
        for thread in threads:
            thread.join()
        self._ended.release()
        self.holder = ""

    def turn(self, idle: bool = False) -> None:
        """A call crosses a port: perhaps somebody else goes on from here. Who is idle is sure to give way."""
        me = self.holder
        if not me or len(self._alive) < 2:
            return
        self._turns += 1
        if not idle and self._rng.random() < self._sleepiness:  # a pause in the middle of it, long enough for others
            self._asleep[me] = self._turns + self._rng.randint(20, 400)
            idle = True
        if not idle and self._rng.random() >= self._restlessness:
            return
        self._give_way(me)

    def wait(self, look: Callable[[], bool]) -> None:
        """Idle turns until `look` says that there is something to do: it gives way, looks when its turn has come, and
        gives way again. Whoever holds the baton does the looking, so no thread is woken to find nothing: `look` may
        not cross a port."""
        me = self.holder
        if len(self._alive) > 1:
            self._turns += 1
            self._looking[me] = look
            self._give_way(me)
            return
        while not look():
            pass

    def _give_way(self, me: str) -> None:
        other = self._next()
        if other != me:
            gate = self._gates[me]
            self._hand_to(other)
            gate.acquire()

    def sleep(self, turns: int = 1_000_000) -> None:
        """The one who runs stops here for so many turns of the others; if nothing is said, until they are done."""
        me = self.holder
        if me and len(self._alive) > 1:
            self._asleep[me] = self._turns + turns
            self.turn(idle=True)

    def _play(self, name: str, act: Callable[[], None]) -> None:
        self._gates[name].acquire()
        try:
            act()
        except BaseException as error:  # whatever it is belongs to the report of this seed
            self.broken.append(error)
        self._alive.remove(name)
        if self._alive:
            self._hand_to(self._next())
        else:
            self._ended.release()

    def _next(self) -> str:
        """Who goes on: anyone, and if that one was waiting and still finds nothing, somebody else again."""
        name = self._anyone()
        while look := self._looking.get(name):
            self.holder = name
            if look():
                del self._looking[name]
            elif len(self._alive) > 1:
                self._turns += 1
                name = self._anyone()
        self.holder = name
        return name

    def _anyone(self) -> str:
        awake = self._alive
        if self._asleep:
            self._asleep = {name: until for name, until in self._asleep.items() if until > self._turns}
            awake = [name for name in self._alive if name not in self._asleep] or self._alive
        return awake[self._rng.randrange(len(awake))]

    def _hand_to(self, name: str) -> None:
        self.holder = name
        self._gates[name].release()
