"""A training that has ended → its record."""

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from mnistcli import __version__
from mnistcli.engine import device as devices
from mnistcli.engine.evaluation import Evaluation
from mnistcli.engine.events import EpochFinished
from mnistcli.experiment.data import Data
from mnistcli.experiment.machine import Machine
from mnistcli.experiment.network import Network
from mnistcli.records.documents import (
    CoresetRecord,
    EpochRecord,
    PhaseRecord,
    Profile,
    Repetition,
    RunRecord,
    TestResult,
)
from mnistcli.records.states import RunStart
from mnistcli.verdict.budget import check_budget, check_phases, passed
from mnistcli.verdict.stats import wilson_interval


@dataclass(frozen=True)
class Ended:
    """What a training came to."""

    coreset: CoresetRecord | None
    history: Sequence[EpochFinished]
    passes: float
    phases: Sequence[PhaseRecord]
    evaluated_on: str | None
    tested: Evaluation
    weights_sha256: str


def list_versions() -> dict[str, str]:
    """Everything but the preset that the last bits may depend on."""
    return {
        "mnistcli": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "platform": platform.platform(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }


def list_differences(earlier: RunRecord, machine: Machine, data_sha256: str) -> tuple[str, ...]:
    """What is not as it was in an earlier run of the same preset and seed."""
    before = earlier.versions | {
        "device": earlier.device,
        "precision": earlier.precision,
        "threads": str(earlier.threads),
        "training images": earlier.data.train_sha256[:12],
    }
    now = list_versions() | {
        "device": machine.device.type,
        "precision": machine.precision_name,
        "threads": str(machine.threads),
        "training images": data_sha256[:12],
    }
    return tuple(
        f"{name} {before.get(name, 'unknown')} → {value}"
        for name, value in now.items()
        if before.get(name) != value
    )


def make_record(
    start: RunStart, folder: Path, machine: Machine, network: Network, data: Data, ended: Ended
) -> RunRecord:
    """The record, judged by the preset's budget."""
    coreset, tested, passes = ended.coreset, ended.tested, ended.passes
    held_out = len(data.validation) if data.validation else 0
    images = coreset.size if coreset else len(data.train)
    figures = {
        "parameters": network.parameters,
        "test_accuracy": tested.accuracy,
        "epochs": int(passes) if passes == int(passes) else passes,
        "train_seconds": sum(epoch.seconds for epoch in ended.history),
        "train_fraction": images / (len(data.train) + held_out),
    }
    checks = (*check_budget(start.preset.budget, figures), *check_phases(ended.phases))
    return RunRecord(
        run_id=folder.name,
        path=str(folder),
        started=start.started,
        preset=start.preset,
        seed=start.seed,
        device=machine.device.type,
        precision=machine.precision_name,
        threads=machine.threads,
        versions=list_versions(),
        data=data.source,
        parameters=network.parameters,
        macs=network.macs,
        train_examples=images,
        train_fraction=figures["train_fraction"],
        validation_examples=held_out,
        coreset=coreset,
        epochs=tuple(EpochRecord(**asdict(epoch)) for epoch in ended.history),
        passes=passes,
        phases=tuple(ended.phases),
        phases_evaluated_on=ended.evaluated_on,
        train_seconds=figures["train_seconds"],
        test=TestResult(
            accuracy=tested.accuracy,
            correct=tested.correct,
            total=tested.total,
            loss=tested.loss,
            interval=wilson_interval(tested.correct, tested.total),
        ),
        weights_sha256=ended.weights_sha256,
        peak_memory=devices.measure_peak_memory(),
        profile=None,
        repeats=_judge_repetition(start.repeats, ended.weights_sha256),
        checks=checks,
        passed=passed(checks),
    )


def make_profile(
    history: Sequence[EpochFinished], evaluation_seconds: float, ceiling: float
) -> Profile:
    """Where the time of a training went."""
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


def _judge_repetition(repeats: Repetition | None, digest: str) -> Repetition | None:
    if repeats is None:
        return None
    return repeats.model_copy(update={"matches": digest == repeats.weights_sha256})
