"""The parts of work beside training: each announced, timed and remembered."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from mnistcli.engine.events import Emit, StageFinished, StageStarted


class Stages:
    """Seconds by stage, in the order in which they were begun."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str, detail: str = "") -> Iterator[None]:
        """Times what is inside the `with` block; `detail` is only shown."""
        name = f"{stage}: {detail}" if detail else stage
        self._emit(StageStarted(name))
        begin = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - begin
        self._emit(StageFinished(name, self.seconds[stage]))
