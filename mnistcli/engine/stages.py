"""Announce and time the parts of the work outside training."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from mnistcli.engine.events import Emit, StageFinished, StageStarted


class Stages:
    """Seconds by stage, in the order in which the stages started."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str, detail: str = "") -> Iterator[None]:
        """Time the `with` block as `stage`; `detail` is only shown."""
        name = f"{stage}: {detail}" if detail else stage
        self._emit(StageStarted(name))
        begin = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - begin
        self._emit(StageFinished(name, self.seconds[stage]))
