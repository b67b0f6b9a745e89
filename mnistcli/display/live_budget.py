"""The budget table of a run under way: figures as they come, verdicts as they are known."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from mnistcli.display.budget import (
    DASH,
    BudgetRow,
    budget_table,
    check_row,
    figure_row,
    format_pair,
    select_figures,
)
from mnistcli.display.text import figure_name, verdict
from mnistcli.engine.events import (
    EpochFinished,
    Event,
    PhaseFinished,
    PhasePlanned,
    TrainingStarted,
)
from mnistcli.preset.budget import Budget, Comparison
from mnistcli.records.documents import Check
from mnistcli.records.sizes import IntegerSizes
from mnistcli.verdict.budget import check_budget, holds

TABLE_HEAD = 2
GROWING = ("epochs", "train_seconds")


@dataclass(frozen=True)
class RunHeader:
    """What is known of a run before its training starts."""

    budget: Budget
    parameters: int
    macs: int
    """Multiply-accumulates (MACs) for one image."""
    images: int
    """Number of images that the network learns from."""
    train_fraction: float
    folder: Path
    """The run folder; a resumed run's log is read from it."""
    sizes: IntegerSizes | None = None
    """Present if the budget limits flash or RAM."""


class LiveBudget:
    """The figures and verdicts of one training, as its events give them."""

    def __init__(self, header: RunHeader) -> None:
        self._header = header
        self._limits = {
            figure: (comparison, limit) for figure, comparison, limit in header.budget.limits
        }
        self._plan = TrainingStarted((), ())
        self._phases: list[PhasePlanned] = []
        self._reached: dict[int, float] = {}
        self._epochs: int = 0
        self._images: int = 0
        self._is_cut_short = False
        self._seconds: float = 0.0
        self._epoch_start: float | None = None

    @property
    def height(self) -> int:
        """Number of lines of the table."""
        phases = sum(phase.target is not None for phase in self._phases)
        return TABLE_HEAD + len(self._figures) + len(self._size_checks) + phases

    def show(self, event: Event) -> None:
        """Take an event in."""
        match event:
            case TrainingStarted():
                self._plan, self._epoch_start, self._epochs = event, time.monotonic(), 0
            case EpochFinished():
                planned = self._plan.count_images(event.epoch)
                # An ensemble's members have epochs of their own: those of one count.
                self._epochs = event.epoch if event.member == self._plan.member else 0
                self._images = self._images if event.epoch > 1 else 0
                self._images += max(planned, event.images)
                self._is_cut_short = event.images < planned
                self._seconds += event.seconds
                self._epoch_start = time.monotonic()
            case PhasePlanned():
                self._phases.append(event)
            case PhaseFinished():
                self._reached[event.phase] = event.own_accuracy or 0.0

    def render(self) -> RenderableType:
        """Build the table as it is now."""
        rows = [self._row(name, value) for name, value in self._figures.items()]
        rows += map(check_row, self._size_checks)
        for number, phase in enumerate(self._phases, start=1):
            if phase.target is not None:
                name, value = f"phase_{number}_accuracy", self._reached.get(number)
                rows.append(self._limited_row(name, value, ">=", phase.target))
        return budget_table(rows)

    @property
    def _size_checks(self) -> tuple[Check, ...]:
        return check_budget(self._header.budget, {}, self._header.sizes)

    @property
    def _figures(self) -> Mapping[str, float | None]:
        """Figures of the table; None if not known yet."""
        header = self._header
        figures = {
            "parameters": header.parameters,
            "macs": header.macs,
            "test_accuracy": None,
            "epochs": self._passes,
            "train_seconds": self._elapsed,
            "train_fraction": header.train_fraction,
            "train_examples": header.images,
        }
        return select_figures(header.budget, figures)

    @property
    def _has_ended(self) -> bool:
        if self._plan.seconds is not None:
            return self._is_cut_short or self._seconds >= self._plan.seconds
        is_last = self._plan.member in {None, self._plan.members}
        return is_last and 0 < len(self._plan.epoch_steps) == self._epochs

    @property
    def _passes(self) -> float:
        """Number of epochs that a budget counts: images seen over images there are."""
        if not self._plan.epoch_names:
            return self._epochs
        return self._images / self._header.images

    @property
    def _elapsed(self) -> float:
        if self._epoch_start is None or self._has_ended:
            return self._seconds
        return self._seconds + time.monotonic() - self._epoch_start

    def _row(self, name: str, value: float | None) -> BudgetRow:
        if name in self._limits:
            return self._limited_row(name, value, *self._limits[name])
        if value is None:
            return BudgetRow(figure_name(name), DASH, DASH, self._pending)
        return figure_row(name, value)

    def _limited_row(
        self, name: str, value: float | None, comparison: Comparison, limit: float
    ) -> BudgetRow:
        word = self._pending
        if value is not None:
            passed = holds(value, comparison, limit)
            is_final = not passed or self._has_ended or name not in GROWING
            word = verdict("pass" if passed else "fail") if is_final else word
        return BudgetRow(figure_name(name), *format_pair(name, value, comparison, limit), word)

    @property
    def _pending(self) -> Text:
        return Text("evaluating" if self._has_ended else "pending", style="dim")
