"""Where a training's time goes."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Clock:
    """Seconds since it was made, by stage, less those spent in `stopped`."""

    def __init__(self, seconds: float = 0.0, stages: Mapping[str, float] | None = None) -> None:
        """Goes on from what another clock showed, if there was one."""
        self._lap = time.perf_counter()
        self._begin = self._lap - seconds
        self.stages = dict(stages or {})

    @property
    def seconds(self) -> float:
        """What the clock shows."""
        return time.perf_counter() - self._begin

    def lap(self, stage: str) -> None:
        """Puts the time since the last lap down to `stage`."""
        now = time.perf_counter()
        self.stages[stage] = self.stages.get(stage, 0.0) + now - self._lap
        self._lap = now

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Lets the time inside not count."""
        stop = time.perf_counter()
        yield
        pause = time.perf_counter() - stop
        self._begin += pause
        self._lap += pause
