"""The live view of a training: epochs, sparklines, budget and bars, redrawn in place."""

from dataclasses import fields
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from mnistcli.display.bars import Bars
from mnistcli.display.lines import (
    epoch_figures,
    phase_line,
    plan_line,
    prune_line,
    resume_line,
    run_line,
)
from mnistcli.display.live_budget import LiveBudget, RunHeader
from mnistcli.display.sparkline import draw_sparkline
from mnistcli.display.text import percent, seconds
from mnistcli.engine.events import (
    EpochFinished,
    Event,
    NetworkPruned,
    PhaseFinished,
    PhasePlanned,
    RunFinished,
    StageFinished,
    StageStarted,
    StepFinished,
    TrainingResumed,
    TrainingStarted,
)
from mnistcli.records.tail import EventTail

REFRESHES_PER_SECOND = 4
WIDTHS = {"loss": 9, "train": 10, "valid": 10, "rate": 10, "time": 10}
MIN_LINES, MAX_LINES = 3, 10
SPARKLINE_WIDTH = 40


class LiveView:
    """A view that redraws the last lines in place, and leaves all of them when it ends.

    Nothing is printed above it meanwhile: rich lets that race with its own redrawing.
    """

    def __init__(self, console: Console, header: RunHeader | None = None) -> None:
        self._console, self._header = console, header
        self._lines: list[Text] = []
        self._titles: Text | None = None
        self._epochs: list[EpochFinished] = []
        self._plan = TrainingStarted((), ())
        self._bars = Bars(console)
        self._budget = LiveBudget(header) if header else None
        self._live = Live(
            console=console,
            get_renderable=self.render,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        if self._header:
            self._console.print()
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()
        for line in self._lines:
            self._console.print(line, no_wrap=True, overflow="ellipsis")
        if self._lines:
            self._console.print()

    def show(self, event: Event) -> None:
        """Take an event in; drawing is left to the view's own thread."""
        self._bars.show(event)
        if isinstance(event, StepFinished | StageStarted):
            return  # a hundred steps a second: the bars only count them
        if self._budget:
            self._budget.show(event)
        self._add_lines(event)

    def render(self) -> RenderableType:
        """Build the redrawn part: the last lines, sparklines, budget and bars."""
        lines = self._lines[-self._count_lines() :]
        if self._titles and self._titles not in lines:
            lines = [self._titles, *lines[1:]]
        parts: list[RenderableType] = [*lines, *self._sparklines()]
        if self._budget:
            parts += [Text(), self._budget.render()]
        return Group(*parts, *([Text()] if parts else []), self._bars.render())

    def _add_lines(self, event: Event) -> None:
        match event:
            case TrainingStarted():
                self._plan = event
            case TrainingResumed():
                self._replay(event.epochs)
                self._add(resume_line(event))
            case EpochFinished():
                self._add_epoch(event)
            case NetworkPruned():
                self._add(f"       {prune_line(event)}")
            case PhasePlanned():
                self._add(plan_line(event))
            case PhaseFinished():
                self._add(f"       {phase_line(event)}")
            case StageFinished():
                self._add(f"{event.stage:<40}{seconds(event.seconds):>8}")
            case RunFinished():
                self._add(run_line(event))

    def _add(self, line: str, style: str = "") -> Text:
        text = Text(line, style=style, no_wrap=True, overflow="ellipsis")
        self._lines.append(text)
        return text

    def _add_epoch(self, event: EpochFinished) -> None:
        if event.epoch == 1:
            self._epochs = []  # of an ensemble's member before
        self._epochs.append(event)
        figures = epoch_figures(event)
        member = "" if event.member is None else f"{event.member:>8}"
        if self._titles is None:
            titles = "".join(f"{name:>{WIDTHS[name]}}" for name in figures)
            head = f"{'member':>8}" if member else ""
            self._titles = self._add(f"{head}{'epoch':>6}{titles}", style="bold")
        cells = "".join(f"{value:>{WIDTHS[name]}}" for name, value in figures.items())
        self._add(f"{member}{event.epoch:>6}{cells}")

    def _replay(self, epochs: int) -> None:
        """Show the epochs again that had ended before the interruption, and the pruning."""
        names = {field.name for field in fields(EpochFinished)}
        logged = EventTail(self._header.folder).read() if self._header else []
        for each in logged:
            kind = each.pop("event")
            if kind == "NetworkPruned":
                self._add_lines(NetworkPruned(**each))
            if kind != "EpochFinished":
                continue
            event = EpochFinished(**{name: each[name] for name in names & each.keys()})
            if event.member == self._plan.member and event.epoch > epochs:
                break
            if self._budget:
                self._budget.show(event)
            self._add_epoch(event)

    def _sparklines(self) -> list[Text]:
        if len(self._epochs) < 2 or self._console.options.ascii_only:
            return []
        losses = [epoch.train_loss for epoch in self._epochs]
        train = [epoch.train_accuracy for epoch in self._epochs]
        valid = [e.validation_accuracy for e in self._epochs if e.validation_accuracy is not None]
        lines = [
            f"{'loss':>6}  {draw_sparkline(losses, SPARKLINE_WIDTH, is_logarithmic=True)}"
            f"  {losses[0]:.4f} → {losses[-1]:.4f}"
        ]
        for name, values in (("train", train), ("valid", valid)):
            if values:
                lines.append(
                    f"{name:>6}  {draw_sparkline(values, SPARKLINE_WIDTH)}"
                    f"  {percent(values[0])} → {percent(values[-1])}"
                )
        return [Text(), *(Text(line, no_wrap=True, overflow="ellipsis") for line in lines)]

    def _count_lines(self) -> int:
        """Return how many lines fit beside the other parts of the view."""
        others = len(self._sparklines()) + self._bars.height + 3
        others += self._budget.height + 1 if self._budget else 0
        return max(MIN_LINES, min(MAX_LINES, self._console.size.height - others))
