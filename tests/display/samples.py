"""Documents as commands would write them, and what a person sees of them."""

import io

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from mnistcli.display.layout import Page
from mnistcli.preset.loading import load_preset
from mnistcli.records.comparisons import PairedDifference
from mnistcli.records.documents import Check, ClaimAudit, EpochRecord, PhaseRecord, RunRecord
from mnistcli.records.evaluations import CalibrationBin, DigitResult, EvaluationMetrics, Mistake

SPRINT = load_preset("sprint")


def drawn(view: RenderableType) -> list[str]:
    """The lines that a terminal of 80 columns shows; only lines of text may be longer."""
    file = io.StringIO()
    console = Page(file=file, width=80, color_system=None, highlight=False)
    for part in view.renderables if isinstance(view, Group) else [view]:
        console.print(part, soft_wrap=isinstance(part, Text))
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    long = [line for line in lines if len(line) > 80]
    assert all(" written to " in line or " weights differ " in line for line in long)
    assert "…" not in file.getvalue(), "a figure that is cut tells something else"
    return lines


def row(lines: list[str], name: str) -> list[str]:
    """The cells after `name` of the first line that starts with it."""
    found = next(line.strip() for line in lines if line.strip().startswith(name))
    return found.removeprefix(name).split()


def make_epoch(number: int, **changes: object) -> EpochRecord:
    fields = {
        "epoch": number, "train_loss": 0.5 / number, "train_accuracy": 0.9, "seconds": 2.5,
        "learning_rate": 0.1, "images": 60_000, "stages": {}, "validation_loss": None,
        "validation_accuracy": None,
    }  # fmt: skip
    return EpochRecord.model_validate(fields | changes)


def make_check(name: str = "test_accuracy", **changes: object) -> Check:
    fields = {"comparison": ">=", "limit": 0.99, "value": 0.9944, "verdict": "pass"}
    return Check.model_validate({"name": name} | fields | changes)


def make_run(seed: int = 0, **changes: object) -> RunRecord:
    fields = {
        "run_id": f"sprint-20260101-000000-s{seed}", "path": f"runs/sprint-s{seed}",
        "started": f"2026-01-01T00:00:{seed:02}", "preset": SPRINT, "seed": seed, "device": "cpu",
        "precision": "float32", "threads": 2, "versions": {"torch": "2.14.1"},
        "data": {"source": "MNIST", "train_sha256": "a", "test_sha256": "b"},
        "parameters": 19_514, "macs": 376_064, "train_examples": 60_000, "train_fraction": 1.0,
        "validation_examples": 0, "coreset": None, "epochs": (make_epoch(1), make_epoch(2)),
        "passes": 2.0, "phases": (), "phases_evaluated_on": None, "train_seconds": 5.0,
        "weights_sha256": f"{seed:064x}", "peak_memory": 123_456_789, "profile": None,
        "checks": (make_check(),), "passed": True,
        "test": {
            "accuracy": 0.9944, "correct": 9_944, "total": 10_000, "loss": 0.0213,
            "interval": (0.9927, 0.9957),
        },
    }  # fmt: skip
    return RunRecord.model_validate(fields | changes)


def make_phase(number: int, **changes: object) -> PhaseRecord:
    fields = {
        "phase": number, "name": f"phase {number}", "digits": (2 * number - 2, 2 * number - 1),
        "images": 12_000, "steps": 940, "seconds": 3.0, "train_loss": 0.25, "train_accuracy": 0.9,
        "own_accuracy": 0.98, "seen_accuracy": 0.97, "final_own_accuracy": 0.96, "target": 0.95,
        "digit_accuracies": (0.98,) * 9 + (None,),
    }  # fmt: skip
    return PhaseRecord.model_validate(fields | changes)


def make_claim(**changes: object) -> ClaimAudit:
    fields = {
        "figure": "test_accuracy", "claimed": 0.995, "where": "a page", "built": None,
        "measured": 0.9942, "sd": 0.0005, "runs": 5, "verdict": "refuted",
        "test": "one-sample t", "p_value": 0.01,
    }  # fmt: skip
    return ClaimAudit.model_validate(fields | changes)


def make_difference(mean: float = -0.0123, **changes: object) -> PairedDifference:
    fields = {
        "mean": mean, "interval": (mean - 0.001, mean + 0.001), "p_value": 0.0001,
        "adjusted_p_value": 0.0002, "verdict": "worse",
    }  # fmt: skip
    return PairedDifference.model_validate(fields | changes)


def metric_fields(total: int = 10_000) -> dict[str, object]:
    """Fields of metrics with two mistakes: 4 → 9 and 7 → 1."""
    confusion = np.diag([total // 10] * 10)
    for digit, predicted in ((4, 9), (7, 1)):
        confusion[digit, digit] -= 1
        confusion[digit, predicted] += 1
    correct = int(np.trace(confusion))
    return {
        "accuracy": correct / total, "correct": correct, "total": total, "loss": 0.0213,
        "interval": (0.9927, 0.9957), "confusion": tuple(map(tuple, confusion.tolist())),
        "per_class": tuple(
            DigitResult(
                digit=digit, total=total // 10, correct=int(confusion[digit, digit]),
                precision=float(confusion[digit, digit] / confusion[:, digit].sum()),
                recall=float(confusion[digit, digit] / (total // 10)),
            )
            for digit in range(10)
        ),
        "calibration": (
            CalibrationBin(low=0.0, high=0.5, total=0, confidence=None, accuracy=None),
            CalibrationBin(low=0.5, high=1.0, total=total, confidence=0.985, accuracy=0.9998),
        ),
        "calibration_error": 0.0148,
        "mistakes": (
            Mistake(index=1234, digit=4, predicted=9, confidence=0.9, true_probability=0.05),
            Mistake(index=77, digit=7, predicted=1, confidence=0.6, true_probability=0.3),
        ),
    }  # fmt: skip


def make_metrics() -> EvaluationMetrics:
    return EvaluationMetrics.model_validate(metric_fields())


def make_images(count: int) -> np.ndarray:
    """Images, uint8 (count, 28, 28), of a bar whose place tells them apart."""
    images = np.zeros((count, 28, 28), dtype=np.uint8)
    for number in range(count):
        images[number, 4:24, 4 + number % 20] = 255
    return images
