"""The JSON contract of searches: their plan, their log and their result."""

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, TypeAdapter, model_validator

from mnistcli.preset.budget import Budget
from mnistcli.preset.choices import DatasetName
from mnistcli.preset.schema import Preset
from mnistcli.records.base import Document
from mnistcli.records.comparisons import FailedRun, RunsSummary
from mnistcli.records.documents import Check, Interval, Verdict
from mnistcli.records.states import Number, Seed

PLAN, LOG, RESULT, WINNER, FRONT = (
    "plan.json", "search.jsonl", "search.json", "winner.toml", "front.svg"
)  # fmt: skip
TRIALS, CONFIRMATION = "trials", "confirmation"
Sampler = Literal["evolution", "random"]
Minimized = Literal["parameters", "macs", "flash", "seconds"]
Decisions = dict[str, int | float]
"""Value of every numeric range, or index of a choice, by its path in the space."""


class SearchPlan(Document):
    """What a search was asked: plan.json in its folder."""

    schema_: Annotated[Literal["mnistcli.search-plan/1"], Field(alias="schema")] = (
        "mnistcli.search-plan/1"
    )
    name: str
    """Name of the space."""
    space: dict[str, JsonValue]
    """The space as its file has it."""
    budget: Budget
    sampler: Sampler
    minimize: Minimized | None
    seed: Seed
    trials: Annotated[int, Field(ge=1)] | None
    """Max number of trials."""
    within_seconds: Annotated[float, Field(gt=0)] | None
    """Time for everything, the confirmation too."""
    round_size: Annotated[int, Field(ge=2)]
    """Number of new networks in a round."""
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "float32", "bfloat16"]
    threads: Annotated[int, Field(ge=1, le=1_024)]
    data_folder: str | None
    train_sha256: str
    """Fingerprint of all training images; a resumed search must have the same."""

    @model_validator(mode="after")
    def _it_has_an_end(self) -> Self:
        if (self.trials is None) == (self.within_seconds is None):
            raise ValueError("a search has a number of trials or a time, and not both")
        return self


class NetworkLine(Document):
    """A network that fits the budget: a line of search.jsonl."""

    event: Literal["network"] = "network"
    number: Number
    round: Number
    decisions: Decisions
    figures: dict[str, int]
    """Counted before any training."""
    origin: Literal["random", "mutation", "crossover"]
    rejected: Number
    """Networks that were drawn before it and did not fit; none of them was trained."""


class RungsLine(Document):
    """The number of epochs at every rung, decided once: a line of search.jsonl."""

    event: Literal["rungs"] = "rungs"
    epochs: Annotated[tuple[Number, ...], Field(min_length=1)]
    max_epoch_seconds: float | None = None
    """Networks whose epochs take longer drop out: their confirmation would not fit the time."""


class TrialLine(Document):
    """A finished trial: a line of search.jsonl."""

    event: Literal["trial"] = "trial"
    network: Number
    rung: Number
    turn: Number
    """Which of the search's seeds, from 0; the same one for all networks."""
    round: Number
    """Round in which it was run."""
    loss: float | None
    """On the held-out images; null if the training failed."""
    accuracy: float | None
    train_seconds: float
    failed: str | None
    """Why it has no result, in a sentence."""
    elapsed: float
    """Seconds since the search was started, without interruptions."""


class WinnerLine(Document):
    """The end of the trials: a line of search.jsonl, the last one."""

    event: Literal["winner"] = "winner"
    network: Number
    elapsed: float


SearchLine = NetworkLine | RungsLine | TrialLine | WinnerLine
LogLine = Annotated[SearchLine, Field(discriminator="event")]
LINE: TypeAdapter[SearchLine] = TypeAdapter(LogLine)


class FoundNetwork(Document):
    """A network of a search with its trials at the last rung that it reached."""

    number: int
    figures: dict[str, int]
    epochs: int
    """Epochs of each of these trials."""
    n: int
    """Number of trials."""
    accuracy: float
    """Mean on the held-out images."""
    loss: float
    """Geometric mean of the losses on the held-out images."""
    interval: Interval
    """95 % confidence interval of the accuracy, by the sd between seeds of all networks."""
    train_seconds: float
    """Median of its trials."""
    run: str
    """Path of its first trial."""


class RungSummary(Document):
    """The trials of one rung."""

    epochs: int
    networks: int
    trials: int
    rank_correlation: float | None
    """Spearman's, between losses at this rung and the next, of the networks with both; null for
    fewer than three."""


class SearchDocument(Document):
    """Output of `search`, also written to search.json."""

    schema_: Annotated[Literal["mnistcli.search/1"], Field(alias="schema")] = "mnistcli.search/1"
    budget: Budget
    space: str
    sampler: Sampler
    minimize: Minimized | None
    seed: int
    within_seconds: float | None
    max_trials: int | None
    networks: int
    """Networks that were trained; all of them fit."""
    rejected: int
    """Networks that were drawn and did not fit; none of them was trained."""
    trials: int
    failed_trials: int
    train_seconds: float
    """Time of all trials together."""
    oversized_train_seconds: float
    """Time of the trials of networks that exceed the budget: 0, or there is a fault."""
    search_seconds: float
    """Time until the confirmation."""
    rungs: tuple[RungSummary, ...]
    front: tuple[FoundNetwork, ...]
    """The Pareto front: no other network has both fewer parameters (or less of the figure to
    minimize) and a lower held-out loss, one standard error added."""
    winner: FoundNetwork
    preset: Preset
    confirmation: RunsSummary
    """Figures of the winner, trained on all training images from fresh seeds."""
    checks: tuple[Check, ...]
    verdict: Verdict
    passed: bool
    misses: tuple[FoundNetwork, ...]
    """The networks next to the winner, if it did not pass."""
    failed: tuple[FailedRun, ...] = ()
    """Runs of the confirmation that ended with an error; others are in `confirmation`."""
    advice: tuple[str, ...]
    """What would have helped, if it did not pass."""
    device: str
    precision: str
    threads: int
    """CPU threads of a trial."""
    dataset: DatasetName | None
    path: str


class SearchProgress(Document):
    """How far a search has come, after a trial."""

    networks: int
    trials: int
    elapsed: float
    seconds_left: float | None
    """Time until the limit; null without one."""
    trials_left: int | None
    best: FoundNetwork | None
    """The best network at the last rung that any has reached."""
    front: tuple[FoundNetwork, ...]
    last: TrialLine
    epochs: int
    """Epochs of the last trial."""
    seed: int
    """Seed of the last trial."""
