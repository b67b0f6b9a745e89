"""Measure the time of a training, stage by stage."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Clock:
    """A stopwatch of seconds by stage, without the time spent in `stopped`."""

    def __init__(self, seconds: float = 0.0, stages: Mapping[str, float] | None = None) -> None:
        """Start at zero, or at the seconds and stages of an earlier clock."""
        self._lap = time.perf_counter()
        self._begin = self._lap - seconds
        self.stages = dict(stages or {})

    @property
    def seconds(self) -> float:
        """Seconds that have passed, without those spent in `stopped`."""
        return time.perf_counter() - self._begin

    def lap(self, stage: str) -> None:
        """Add the time since the last lap to `stage`."""
        now = time.perf_counter()
        self.stages[stage] = self.stages.get(stage, 0.0) + now - self._lap
        self._lap = now

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Exclude the time inside the `with` block."""
        stop = time.perf_counter()
        yield
        pause = time.perf_counter() - stop
        self._begin += pause
        self._lap += pause
