"""Run folders → accuracy, calibration, robustness and speed of their networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnistcli.datasets.examples import Examples
from mnistcli.datasets.load import load_examples
from mnistcli.engine import device as devices
from mnistcli.engine.evaluation import Evaluation, combine
from mnistcli.engine.network.build import count_parameters
from mnistcli.engine.network.contain import contain
from mnistcli.engine.profiling import measure_inference
from mnistcli.engine.robustness import DISTORTIONS, STRENGTHS, UNITS, distort
from mnistcli.errors import UsageError
from mnistcli.experiment.load_run import LoadedRun, load_run
from mnistcli.experiment.machine import Options
from mnistcli.preset.choices import Split
from mnistcli.records.evaluations import (
    DigitResult,
    Ensemble,
    EvaluationDocument,
    EvaluationMetrics,
    EvaluationsDocument,
    Mistake,
    Robustness,
)
from mnistcli.records.store import WEIGHTS
from mnistcli.verdict.calibration import calibrate, expected_calibration_error
from mnistcli.verdict.stats import wilson_interval

BATCH = 512
WORST = 40
LOSS_TOLERANCE = (1e-3, 1e-6)
"""Relative and absolute; the last bits of a loss depend on threads and processor."""


@dataclass(frozen=True)
class EvaluationResult:
    """Evaluation of one run, with the worst mistakes as images."""

    document: EvaluationDocument
    worst: tuple[NDArray[np.uint8], ...]
    """Images (28, 28) of the first mistakes in the document."""
    evaluation: Evaluation
    data: Path | None
    """Folder of the images; None for the embedded MNIST."""
    data_sha256: str


@dataclass(frozen=True)
class EnsembleResult:
    """Evaluation of several runs and of their ensemble, with its worst mistakes as images."""

    document: EvaluationsDocument
    worst: tuple[NDArray[np.uint8], ...]
    """Images (28, 28) of the first mistakes of the ensemble."""


def evaluate_run(
    folder: Path, split: Split, options: Options, *, distorted: bool = False
) -> EvaluationResult:
    """Evaluate the trained network of a run.

    Args:
        folder: run folder.
        split: split to evaluate on.
        options: device and threads, and a folder of data if it is not the run's own.
        distorted: whether to evaluate on distorted images too.

    Raises:
        FileError: record, weights or data are unreadable, or do not belong together.
        UsageError: the device is not available.
    """
    run = load_run(folder, options)
    record, model = run.record, run.model
    examples, data_sha256 = run.load_images(split)
    is_own = data_sha256 == record.data.sha256_of(split)
    normalization = record.preset.normalization
    result = run.evaluate(examples)
    with contain(record.preset.model.code):
        speeds = [measure_inference(model, examples, normalization, size) for size in (BATCH, 1)]
    document = EvaluationDocument(
        **dict(compute_metrics(result, examples.labels.cpu())),
        run_id=record.run_id,
        preset=record.preset.name,
        split=split,
        data=run.data_name,
        own_images=is_own,
        images_per_second=speeds[0],
        milliseconds_per_image=1_000 / speeds[1],
        weights_bytes=(folder / WEIGHTS).stat().st_size,
        robustness=_measure_robustness(run, examples) if distorted else (),
        matches_record=_matches_record(run, result) if is_own and split == "test" else None,
    )
    worst = select_worst(document, examples)
    return EvaluationResult(document, worst, result, run.data, data_sha256)


def is_near(one: float, other: float, tolerance: tuple[float, float]) -> bool:
    """Return whether two figures are the same within a relative or an absolute tolerance."""
    return isclose(one, other, rel_tol=tolerance[0], abs_tol=tolerance[1])


def _matches_record(run: LoadedRun, result: Evaluation) -> bool:
    """Return whether test figures and parameters are those of the record."""
    test = run.record.test
    return (
        (result.correct, result.total, result.accuracy) == (test.correct, test.total, test.accuracy)
        and is_near(result.loss, test.loss, LOSS_TOLERANCE)
        and count_parameters(run.model) == run.record.parameters
    )


def evaluate_ensemble(results: Sequence[EvaluationResult], split: Split) -> EnsembleResult:
    """Evaluate the mean of the probabilities of several networks.

    Args:
        results: evaluations of at least one run.
        split: what they were evaluated on.

    Raises:
        UsageError: they were evaluated on different images.
        FileError: data is unreadable.
    """
    if len({result.data_sha256 for result in results}) > 1:
        raise UsageError(
            f"these runs have different {split} images, and make no ensemble. Evaluate them one by "
            "one, or name one folder with --data."
        )
    examples = load_examples(split, results[0].data)
    combined = combine([result.evaluation for result in results], examples.labels)
    documents = tuple(result.document for result in results)
    ensemble = Ensemble(
        **dict(compute_metrics(combined, examples.labels)),
        runs=tuple(document.run_id for document in documents),
    )
    document = EvaluationsDocument(runs=documents, ensemble=ensemble)
    return EnsembleResult(document, select_worst(ensemble, examples))


def select_worst(metrics: EvaluationMetrics, examples: Examples) -> tuple[NDArray[np.uint8], ...]:
    """Return the images (28, 28) of the first mistakes."""
    places = [mistake.index for mistake in metrics.mistakes[:WORST]]
    return tuple(examples.images[places, 0].cpu().numpy())


def compute_metrics(result: Evaluation, labels: Tensor) -> EvaluationMetrics:
    """Return the metrics of an evaluation on images with `labels`, int64 (n,)."""
    confidences = result.probabilities.amax(dim=1)
    bins = calibrate(confidences.tolist(), (result.predictions == labels).tolist())
    return EvaluationMetrics(
        accuracy=result.accuracy,
        correct=result.correct,
        total=result.total,
        loss=result.loss,
        interval=wilson_interval(result.correct, result.total),
        confusion=tuple(tuple(row) for row in result.confusion.tolist()),
        per_class=_compute_per_class(result.confusion.tolist()),
        calibration=bins,
        calibration_error=expected_calibration_error(bins),
        mistakes=_list_mistakes(result, labels),
    )


def _measure_robustness(run: LoadedRun, examples: Examples) -> tuple[Robustness, ...]:
    rows = []
    for kind in DISTORTIONS:
        accuracies = []
        for strength in STRENGTHS[kind]:
            generator = devices.make_generator(0, "robustness")
            images = distort(examples.images, kind, strength, generator)
            harder = Examples(images, examples.labels)
            accuracies.append(run.evaluate(harder).accuracy)
        rows.append(
            Robustness(
                distortion=kind,
                unit=UNITS[kind],
                strengths=STRENGTHS[kind],
                accuracies=tuple(accuracies),
            )
        )
    return tuple(rows)


def _compute_per_class(confusion: list[list[int]]) -> tuple[DigitResult, ...]:
    rows = []
    for digit, row in enumerate(confusion):
        total, correct, predicted = sum(row), row[digit], sum(row[digit] for row in confusion)
        rows.append(
            DigitResult(
                digit=digit,
                total=total,
                correct=correct,
                precision=correct / predicted if predicted else None,
                recall=correct / total if total else None,
            )
        )
    return tuple(rows)


def _list_mistakes(result: Evaluation, labels: Tensor) -> tuple[Mistake, ...]:
    """Return all mistakes, sorted by the probability of the true digit, lowest first."""
    true = result.probabilities.gather(1, labels[:, None])[:, 0]
    (wrong,) = torch.nonzero(result.predictions != labels, as_tuple=True)
    return tuple(
        Mistake(
            index=index,
            digit=int(labels[index]),
            predicted=int(result.predictions[index]),
            confidence=float(result.probabilities[index].amax()),
            true_probability=float(true[index]),
        )
        for index in wrong[torch.argsort(true[wrong], stable=True)].tolist()
    )
