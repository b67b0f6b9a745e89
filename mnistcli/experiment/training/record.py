"""A finished training → its record."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from torch import nn

from mnistcli.engine import device as devices
from mnistcli.engine.evaluation import Evaluation, evaluate
from mnistcli.engine.events import EpochFinished
from mnistcli.engine.network.build import count_parameters
from mnistcli.engine.network.contain import contain
from mnistcli.errors import PresetError
from mnistcli.experiment.answers import draw_sample, measure_limits
from mnistcli.experiment.machine import list_versions
from mnistcli.experiment.training.phases import record_phases
from mnistcli.experiment.training.pruning import record_pruning
from mnistcli.experiment.training.setup import TrainingSetup
from mnistcli.experiment.training.state import TrainingState
from mnistcli.records.documents import (
    AnswerLimits,
    EpochRecord,
    Profile,
    RunRecord,
    TestResult,
)
from mnistcli.records.earlier import Repetition
from mnistcli.verdict.budget import check_record, passed
from mnistcli.verdict.stats import wilson_interval

GIVEN = ("started", "preset", "seed", "device", "precision", "threads", "teachers", "init")
"""What was known when the training started."""


def make_record(
    state: TrainingState, model: nn.Module, tested: Evaluation, weights_sha256: str
) -> RunRecord:
    """Return the record of a finished training, checked against the preset's budget.

    Args:
        state: of the finished training.
        model: the network that it leaves, perhaps an ensemble.
        tested: the network's predictions of the test images, or of the held-out ones.
        weights_sha256: of the network's saved weights.
    """
    setup, data = state.setup, state.setup.data
    held_out = len(data.validation) if data.validation else 0
    images = state.coreset.size if state.coreset else len(data.train)
    record = RunRecord(
        run_id=setup.folder.name,
        path=str(setup.folder),
        **{name: getattr(setup.start, name) for name in GIVEN},
        versions=list_versions(),
        data=data.source,
        parameters=count_parameters(model),
        macs=setup.network.macs,
        train_examples=images,
        train_fraction=images / (len(data.train) + held_out),
        validation_examples=held_out,
        coreset=state.coreset,
        **_describe_epochs(state),
        test=_record_test(tested),
        answer_limits=_measure_limits(setup, model),
        weights_sha256=weights_sha256,
        peak_memory=devices.measure_peak_memory(),
        pruning=record_pruning(state) if setup.preset.prune else None,
        repeats=_compare_weights(setup.start.repeats, weights_sha256),
        checks=(),
        passed=True,
        warnings=setup.warnings,
        integer_sizes=setup.sizes,
    )
    return _check(record)


def _describe_epochs(state: TrainingState) -> dict[str, Any]:
    """Return what is recorded of the epochs of all networks."""
    history, members = state.history, state.members
    described: dict[str, Any] = {"kept_epoch": state.loop.kept_epoch}
    if state.setup.preset.ensemble:
        described = {"members": tuple(member.describe() for member in members)}
    return {
        "epochs": tuple(EpochRecord(**asdict(epoch)) for epoch in history),
        "passes": max(state.course.count_passes(len(member.history)) for member in members),
        "phases": record_phases(state.course.phases, state.confusions, history),
        "phases_evaluated_on": state.phase_set.kind if state.phase_set else None,
        "train_seconds": sum(epoch.seconds for epoch in history),
        "is_bit_reproducible": state.setup.preset.train.within_seconds is None,
        **described,
    }


def _check(record: RunRecord) -> RunRecord:
    checks = check_record(record)
    return record.model_copy(update={"checks": checks, "passed": passed(checks)})


def _measure_limits(setup: TrainingSetup, model: nn.Module) -> AnswerLimits | None:
    """Return the limits of what is taken for a digit, without a look at the test set."""
    sample = draw_sample(setup.data.train, setup.data.validation, setup.seed)
    try:
        with contain(setup.preset.model.code):
            return measure_limits(
                sample, lambda examples: evaluate(model, examples, setup.preset.normalization)
            )
    except (FloatingPointError, PresetError):
        return None  # no reason to lose a trained network


def _record_test(tested: Evaluation) -> TestResult:
    return TestResult(
        accuracy=tested.accuracy,
        correct=tested.correct,
        total=tested.total,
        loss=tested.loss,
        interval=wilson_interval(tested.correct, tested.total),
    )


def make_profile(
    history: Sequence[EpochFinished], evaluation_seconds: float, ceiling: float
) -> Profile:
    """Return where the time of a training went."""
    stages: dict[str, float] = {}
    for epoch in history:
        for stage, seconds in epoch.stages.items():
            stages[stage] = stages.get(stage, 0.0) + seconds
    speed = sum(epoch.images for epoch in history) / sum(epoch.seconds for epoch in history)
    return Profile(
        stages={**stages, "evaluation": evaluation_seconds},
        images_per_second=speed,
        ceiling_images_per_second=ceiling,
        fraction_of_ceiling=speed / ceiling,
    )


def _compare_weights(repeats: Repetition | None, digest: str) -> Repetition | None:
    if repeats is None:
        return None
    return repeats.model_copy(update={"matches": digest == repeats.weights_sha256})
