"""Progress bars of a stage, an epoch, a run, and several runs."""

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from mnistcli.display.lines import epoch_title
from mnistcli.engine.events import (
    EpochFinished,
    Event,
    RunFinished,
    StageFinished,
    StageStarted,
    StepFinished,
    TrainingResumed,
    TrainingStarted,
)

TITLE_WIDTH = 24


class Bars:
    """Bars that follow the events; steps are only counted until the next `render`."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            PercentageColumn(),
            ImageRateColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            auto_refresh=False,
        )
        self._plan = TrainingStarted((), ())
        self._done = 0
        self._seen = 0
        self._begun = 0.0
        self._seconds = 0.0
        self._stage = self._progress.add_task("", visible=False)
        self._epoch = self._progress.add_task("", visible=False)
        self._run = self._progress.add_task("run", visible=False)
        self._runs = self._progress.add_task("runs", visible=False, counts_images=False)

    @property
    def height(self) -> int:
        """Number of visible bars."""
        return sum(task.visible for task in self._progress.tasks)

    def show(self, event: Event) -> None:
        """Count the images of a step, or start, move or hide bars."""
        match event:
            case StepFinished():
                self._seen += event.images
                self._seconds = self._begun + event.seconds
            case TrainingStarted():
                self._plan = event
                is_timed = event.seconds is not None
                images = event.members * sum(event.epoch_images)
                total = event.seconds if is_timed else images
                self._progress.reset(
                    self._run, total=total, visible=True, counts_images=not is_timed
                )
                self._start_epoch(1, 0.0)
            case TrainingResumed():
                self._start_epoch(event.epochs + 1, event.seconds, event.images)
            case EpochFinished():
                self._start_epoch(event.epoch + 1, self._begun + event.seconds)
                if event.images < self._plan.count_images(event.epoch):
                    self._progress.update(self._epoch, visible=False)
            case StageStarted():
                title = _shorten(event.stage)
                self._progress.reset(self._stage, total=None, description=title, visible=True)
            case StageFinished():
                self._progress.update(self._stage, visible=False)
            case RunFinished():
                self._progress.update(
                    self._runs, total=event.total, completed=event.done, visible=True
                )

    def render(self) -> RenderableType:
        """Move the bars to what has been counted, and draw them."""
        self._progress.update(self._epoch, completed=self._seen)
        is_timed = self._plan.seconds is not None
        done = self._seconds if is_timed else self._done + self._seen
        self._progress.update(self._run, completed=done)
        return self._progress.get_renderable()

    def _start_epoch(self, epoch: int, seconds: float, seen: int = 0) -> None:
        """Begin the bar of an epoch, after so many seconds of training, if there is one."""
        images = self._plan.epoch_images
        earlier = ((self._plan.member or 1) - 1) * sum(images)
        self._done, self._seen = earlier + sum(images[: epoch - 1]), seen
        self._begun = self._seconds = seconds
        total = self._plan.count_images(epoch)
        if not total:
            self._progress.update(self._epoch, visible=False)
            return
        title = _shorten(epoch_title(self._plan, epoch))
        self._progress.reset(
            self._epoch, total=total, completed=seen, description=title, visible=True
        )


class PercentageColumn(ProgressColumn):
    """How much is done, where the total is known."""

    def render(self, task: Task) -> Text:
        """Return, for example, " 62 %"."""
        return Text("" if task.total is None else f"{task.percentage:>3.0f} %")


class ImageRateColumn(ProgressColumn):
    """Images per second, of a bar that counts images."""

    def render(self, task: Task) -> Text:
        """Return, for example, " 14,900 images/s"."""
        counts_images = task.fields.get("counts_images", True)
        speed = (task.finished_speed or task.speed) if counts_images else None
        return Text(f"{speed:>7,.0f} images/s" if speed else "")


def _shorten(title: str) -> str:
    return title if len(title) <= TITLE_WIDTH else f"{title[: TITLE_WIDTH - 1]}…"
