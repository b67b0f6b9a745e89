"""A run's record and weights → how right its network is, how sure, and how fast."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mnistcli.engine import device as devices
from mnistcli.engine.data import Examples, Split, fingerprint, load_examples
from mnistcli.engine.evaluation import Evaluation, evaluate
from mnistcli.engine.model import build_model
from mnistcli.engine.pictures import read_pictures
from mnistcli.engine.profiling import measure_inference
from mnistcli.engine.robustness import DISTORTIONS, STRENGTHS, UNITS, distort
from mnistcli.experiment.options import Options
from mnistcli.preset.schema import Normalization
from mnistcli.records.checkpoint import load_weights
from mnistcli.records.documents import RunRecord
from mnistcli.records.evaluations import (
    DigitResult,
    EvaluationDocument,
    Mistake,
    Prediction,
    PredictionsDocument,
    Robustness,
)
from mnistcli.records.store import WEIGHTS, read_record
from mnistcli.verdict.calibration import calibrate, expected_calibration_error
from mnistcli.verdict.stats import wilson_interval

BATCH = 512
WORST = 3


@dataclass(frozen=True)
class Judgement:
    """What an evaluation found, and the images to show of it."""

    document: EvaluationDocument
    worst: tuple[NDArray[np.uint8], ...]
    """(28, 28) each: the first of the document's mistakes."""


@dataclass(frozen=True)
class Reading:
    """What pictures were taken for, and how the network saw them."""

    document: PredictionsDocument
    images: tuple[NDArray[np.uint8], ...]
    """(28, 28) each."""


def evaluate_run(
    folder: Path, split: Split, options: Options, *, distorted: bool = False
) -> Judgement:
    """Rebuilds a run's network, loads its weights and lets it answer to a split.

    Args:
        folder: the run's.
        split: of the data that the options name.
        options: where to compute, on which data.
        distorted: whether to ask for distorted images too.

    Raises:
        FileError: record, weights or data are unreadable or do not fit each other.
        UsageError: there is no such device.
    """
    record, model, device = _rebuild(folder, options)
    examples = load_examples(split, options.data).to(device)
    same_images = split == "test" and fingerprint(examples) == record.data.test_sha256
    normalization = record.preset.normalization
    result = evaluate(model, examples, normalization)
    labels = examples.labels.cpu()
    confidences = result.probabilities.amax(dim=1)
    bins = calibrate(confidences.tolist(), (result.predictions == labels).tolist())
    mistakes = _list_mistakes(result, labels)
    speeds = [measure_inference(model, examples, normalization, size) for size in (BATCH, 1)]
    document = EvaluationDocument(
        run_id=record.run_id,
        preset=record.preset.name,
        split=split,
        data=str(options.data) if options.data else "MNIST (embedded)",
        accuracy=result.accuracy,
        correct=result.correct,
        total=result.total,
        loss=result.loss,
        interval=wilson_interval(result.correct, result.total),
        confusion=tuple(tuple(row) for row in result.confusion.tolist()),
        per_class=_judge_digits(result),
        calibration=bins,
        calibration_error=expected_calibration_error(bins),
        mistakes=mistakes,
        images_per_second=speeds[0],
        milliseconds_per_image=1_000 / speeds[1],
        weights_bytes=(folder / WEIGHTS).stat().st_size,
        robustness=_distort(model, examples, normalization) if distorted else (),
        matches_record=result.correct == record.test.correct if same_images else None,
    )
    shown = [examples.images[mistake.index, 0].cpu().numpy() for mistake in mistakes[:WORST]]
    return Judgement(document, tuple(shown))


def _distort(
    model: nn.Module, examples: Examples, normalization: Normalization
) -> tuple[Robustness, ...]:
    rows = []
    for kind in DISTORTIONS:
        accuracies = []
        for strength in STRENGTHS[kind]:
            generator = devices.make_generator(0, "robustness")
            images = distort(examples.images, kind, strength, generator)
            found = evaluate(model, Examples(images, examples.labels), normalization)
            accuracies.append(found.accuracy)
        rows.append(
            Robustness(
                distortion=kind,
                unit=UNITS[kind],
                strengths=STRENGTHS[kind],
                accuracies=tuple(accuracies),
            )
        )
    return tuple(rows)


def read_images(folder: Path, files: list[Path], options: Options) -> Reading:
    """Lets a run's network say which digits a user's pictures show.

    Raises:
        FileError: record, weights or a picture are unreadable.
        UsageError: there is no such device.
    """
    record, model, device = _rebuild(folder, options)
    images = read_pictures(files)
    # Their labels are not known, and nothing reads them.
    examples = Examples(images, torch.zeros(len(images), dtype=torch.int64)).to(device)
    result = evaluate(model, examples, record.preset.normalization)
    predictions = tuple(
        Prediction(
            file=str(file),
            predicted=int(probabilities.argmax()),
            confidence=float(probabilities.amax()),
            probabilities=tuple(probabilities.tolist()),
        )
        for file, probabilities in zip(files, result.probabilities, strict=True)
    )
    document = PredictionsDocument(run_id=record.run_id, predictions=predictions)
    return Reading(document, tuple(images[:, 0].numpy()))


def _rebuild(folder: Path, options: Options) -> tuple[RunRecord, nn.Sequential, torch.device]:
    """The run's record, its network with its weights, and where that is."""
    record = read_record(folder)
    device = devices.choose_device(options.device)
    devices.choose_threads(options.threads)
    model = build_model(record.preset.model.layers, devices.make_generator(0, "weights"))
    load_weights(model, folder)
    return record, model.to(device), device


def _judge_digits(result: Evaluation) -> tuple[DigitResult, ...]:
    taken = result.confusion.sum(dim=0).tolist()
    rows = []
    for digit, row in enumerate(result.confusion.tolist()):
        total, correct = sum(row), row[digit]
        rows.append(
            DigitResult(
                digit=digit,
                total=total,
                correct=correct,
                precision=correct / taken[digit] if taken[digit] else None,
                recall=correct / total if total else None,
            )
        )
    return tuple(rows)


def _list_mistakes(result: Evaluation, labels: Tensor) -> tuple[Mistake, ...]:
    """All of them, the least probable true digit first."""
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
