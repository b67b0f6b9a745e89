"""Training events → a live display on a terminal, or one plain line an epoch."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from mnistcli.display.text import count, percent, seconds
from mnistcli.engine.events import (
    Emit,
    EpochFinished,
    Event,
    PhaseFinished,
    PhasePlanned,
    RunFinished,
    StageFinished,
    StageStarted,
    StepFinished,
    TrainingResumed,
    TrainingStarted,
)


@contextmanager
def show_progress(console: Console, *, quiet: bool) -> Iterator[Emit]:
    """Shows the events it is given on `console`, until the end of the `with` block."""
    if quiet:
        yield lambda event: None
    elif is_live(console):
        with LiveProgress(console) as live:
            yield live.show
    else:
        yield PlainProgress(console).show


def is_live(console: Console) -> bool:
    """Whether the console is a terminal that can redraw: FORCE_COLOR alone does not make one."""
    return console.file.isatty() and not console.is_dumb_terminal


class PlainProgress:
    """One line an epoch, a stage or a run, for logs."""

    def __init__(self, console: Console) -> None:
        self._file = console.file
        self._plan = TrainingStarted((), ())

    def show(self, event: Event) -> None:
        """Prints the line of an epoch, a stage or a run that has ended."""
        match event:
            case TrainingStarted():
                self._plan = event
            case EpochFinished():
                figures = (f"{name} {value}" for name, value in _figures(event).items() if value)
                self._print(f"{_epoch_title(self._plan, event.epoch)}  {'  '.join(figures)}")
            case PhasePlanned():
                self._print(_plan_line(event))
            case PhaseFinished():
                self._print(f"  {_phase_line(event)}")
            case TrainingResumed():
                self._print(_resume_line(event))
            case StageFinished():
                self._print(f"{event.stage}  {seconds(event.seconds)}")
            case RunFinished():
                self._print(_run_line(event))

    def _print(self, line: str) -> None:
        print(line, file=self._file, flush=True)


class LiveProgress:
    """Bars for the epoch and for the run, or for runs, and above them lines of what has ended."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            ShareColumn(),
            ImageRateColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
        )
        self._plan = TrainingStarted((), ())
        self._epoch = self._progress.add_task("", visible=False)
        self._run = self._progress.add_task("run", visible=False)
        self._runs = self._progress.add_task("runs", visible=False, counts_images=False)
        self._stage = self._progress.add_task("", visible=False)

    def __enter__(self) -> "LiveProgress":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def show(self, event: Event) -> None:
        """Moves the bars, or adds a line of what has ended."""
        match event:
            case TrainingStarted():
                self._plan = event
                self._progress.update(self._run, total=sum(event.epoch_images), visible=True)
                self._start_epoch(1)
            case TrainingResumed():
                done = sum(self._plan.epoch_images[: event.epochs]) + event.images
                self._progress.update(self._run, completed=done)
                self._start_epoch(event.epochs + 1)
                self._progress.update(self._epoch, completed=event.images)
            case StepFinished():
                self._progress.advance(self._epoch, event.images)
                self._progress.advance(self._run, event.images)
            case EpochFinished():
                self._add_row(event)
                self._start_epoch(event.epoch + 1)
            case PhasePlanned():
                self._progress.console.print(Text(_plan_line(event)))
            case PhaseFinished():
                self._progress.console.print(Text(f"       {_phase_line(event)}"))
            case StageStarted():
                self._progress.reset(self._stage, total=None, description=event.stage, visible=True)
            case StageFinished():
                self._progress.update(self._stage, visible=False)
                line = f"{event.stage:<40}{seconds(event.seconds):>8}"
                self._progress.console.print(Text(line))
            case RunFinished():
                self._progress.update(
                    self._runs, total=event.total, completed=event.done, visible=True
                )
                self._progress.console.print(Text(_run_line(event)))

    def _start_epoch(self, epoch: int) -> None:
        epochs = len(self._plan.epoch_images)
        if epoch <= epochs:
            self._progress.reset(
                self._epoch,
                total=self._plan.epoch_images[epoch - 1],
                description=_epoch_title(self._plan, epoch),
                visible=True,
            )

    def _add_row(self, event: EpochFinished) -> None:
        widths = {"loss": 8, "train": 9, "valid": 9, "rate": 9, "time": 9}
        figures = {name: value for name, value in _figures(event).items() if value}
        if event.epoch == 1:
            titles = "".join(f"{name:>{widths[name]}}" for name in figures)
            self._progress.console.print(Text(f"{'epoch':>6}{titles}", style="bold"))
        row = "".join(f"{value:>{widths[name]}}" for name, value in figures.items())
        self._progress.console.print(Text(f"{event.epoch:>6}{row}"))


class ShareColumn(ProgressColumn):
    """How much is done, where that is known."""

    def render(self, task: Task) -> Text:
        """As in " 62 %"."""
        return Text("" if task.total is None else f"{task.percentage:>3.0f} %")


class ImageRateColumn(ProgressColumn):
    """Images a second, of a bar that counts images."""

    def render(self, task: Task) -> Text:
        """As in "14,900 images/s"."""
        counts_images = task.fields.get("counts_images", True)
        speed = (task.finished_speed or task.speed) if counts_images else None
        return Text(f"{speed:>7,.0f} images/s" if speed else "")


def _epoch_title(plan: TrainingStarted, epoch: int) -> str:
    """As in "epoch 2/6", or "medium 2/3" where epochs have names."""
    name = plan.epoch_names[epoch - 1] if plan.epoch_names else "epoch"
    return f"{name} {epoch}/{len(plan.epoch_steps)}"


def _resume_line(event: TrainingResumed) -> str:
    done = count(event.epochs, "epoch")
    return f"resuming after {done}" + (
        f" and {count(event.images, 'image')}" if event.images else ""
    )


def _plan_line(event: PhasePlanned) -> str:
    digits = "all digits" if len(event.digits) == 10 else " ".join(map(str, event.digits))
    line = (
        f"{event.name:<8}{digits:<11}{event.images:>7,} images"
        f"{event.steps:>6,} batches of {event.batch_size}"
    )
    if event.left_out:
        line += f", {event.left_out} left out"
    return line if event.target is None else f"{line}, target {percent(event.target, 0)}"


def _phase_line(event: PhaseFinished) -> str:
    own, seen = (
        "–" if share is None else percent(share)
        for share in (event.own_accuracy, event.seen_accuracy)
    )
    line = f"own digits {own}, all digits so far {seen}"
    if event.target is None:
        return line
    word = "PASS" if (event.own_accuracy or 0) >= event.target else "FAIL"
    return f"{line}, target {percent(event.target)}: {word}"


def _run_line(event: RunFinished) -> str:
    return f"run {event.done}/{event.total}  {event.name}: {percent(event.accuracy)}"


def _figures(event: EpochFinished) -> dict[str, str]:
    judged = event.validation_accuracy
    return {
        "loss": f"{event.train_loss:.4f}",
        "train": percent(event.train_accuracy),
        "valid": "" if judged is None else percent(judged),
        "rate": f"{event.learning_rate:.2g}",
        "time": seconds(event.seconds),
    }


def standard_error() -> Console:
    """The console of progress, warnings and errors."""
    return Console(file=sys.stderr, highlight=False)
