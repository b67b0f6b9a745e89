"""A run's record and weights → how right its network is, how sure, and how fast."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnistcli.datasets.examples import Examples, fingerprint
from mnistcli.datasets.idx import load_examples
from mnistcli.datasets.pictures import read_pictures
from mnistcli.engine import device as devices
from mnistcli.engine.evaluation import Evaluation, combine, evaluate
from mnistcli.engine.profiling import measure_inference
from mnistcli.engine.robustness import DISTORTIONS, STRENGTHS, UNITS, distort
from mnistcli.experiment.data import EMBEDDED_NAME
from mnistcli.experiment.load_run import Rebuilt, rebuild
from mnistcli.experiment.machine import Options
from mnistcli.preset.choices import Split
from mnistcli.records.evaluations import (
    Answers,
    DigitResult,
    Ensemble,
    EvaluationDocument,
    EvaluationsDocument,
    Mistake,
    Prediction,
    PredictionsDocument,
    Robustness,
)
from mnistcli.records.store import WEIGHTS
from mnistcli.verdict.calibration import calibrate, expected_calibration_error
from mnistcli.verdict.stats import wilson_interval

BATCH = 512
WORST = 40


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation found, and the images to show of it."""

    document: EvaluationDocument
    worst: tuple[NDArray[np.uint8], ...]
    """(28, 28) each: the first of the document's mistakes."""
    evaluation: Evaluation


@dataclass(frozen=True)
class EnsembleResult:
    """What several runs' networks found, alone and together."""

    document: EvaluationsDocument
    worst: tuple[NDArray[np.uint8], ...]
    """(28, 28) each: the first of the ensemble's mistakes."""


@dataclass(frozen=True)
class PredictionResult:
    """What pictures were taken for, and how the network saw them."""

    document: PredictionsDocument
    images: tuple[NDArray[np.uint8], ...]
    """(28, 28) each."""


def evaluate_run(
    folder: Path, split: Split, options: Options, *, distorted: bool = False
) -> EvaluationResult:
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
    rebuilt = rebuild(folder, options)
    record, model = rebuilt.record, rebuilt.model
    examples = load_examples(split, options.data).to(rebuilt.device)
    same_images = split == "test" and fingerprint(examples) == record.data.test_sha256
    normalization = record.preset.normalization
    result = evaluate(model, examples, normalization)
    speeds = [measure_inference(model, examples, normalization, size) for size in (BATCH, 1)]
    document = EvaluationDocument(
        **judge(result, examples.labels.cpu()),
        run_id=record.run_id,
        preset=record.preset.name,
        split=split,
        data=str(options.data) if options.data else EMBEDDED_NAME,
        images_per_second=speeds[0],
        milliseconds_per_image=1_000 / speeds[1],
        weights_bytes=(folder / WEIGHTS).stat().st_size,
        robustness=_distort(rebuilt, examples) if distorted else (),
        matches_record=result.correct == record.test.correct if same_images else None,
    )
    return EvaluationResult(document, pick_worst(document, examples), result)


def join(judgements: Sequence[EvaluationResult], split: Split, options: Options) -> EnsembleResult:
    """Lets the networks of several runs answer together.

    Args:
        judgements: of at least one run, all on the split of the data that the options name.
        split: that one.
        options: those of the judgements.

    Raises:
        FileError: data is unreadable.
    """
    examples = load_examples(split, options.data)
    result = combine([one.evaluation for one in judgements], examples.labels)
    documents = tuple(one.document for one in judgements)
    ensemble = Ensemble(
        **judge(result, examples.labels), runs=tuple(document.run_id for document in documents)
    )
    document = EvaluationsDocument(runs=documents, ensemble=ensemble)
    return EnsembleResult(document, pick_worst(ensemble, examples))


def pick_worst(answers: Answers, examples: Examples) -> tuple[NDArray[np.uint8], ...]:
    """The images of the first mistakes, (28, 28) each."""
    places = [mistake.index for mistake in answers.mistakes[:WORST]]
    return tuple(examples.images[places, 0].cpu().numpy())


def read_images(folder: Path, files: list[Path], options: Options) -> PredictionResult:
    """Lets a run's network say which digits a user's pictures show.

    Raises:
        FileError: record, weights or a picture are unreadable.
        UsageError: there is no such device.
    """
    rebuilt = rebuild(folder, options)
    images = read_pictures(files)
    # Their labels are not known, and nothing reads them.
    examples = Examples(images, torch.zeros(len(images), dtype=torch.int64)).to(rebuilt.device)
    result = evaluate(rebuilt.model, examples, rebuilt.record.preset.normalization)
    predictions = tuple(
        Prediction(
            file=str(file),
            predicted=int(probabilities.argmax()),
            confidence=float(probabilities.amax()),
            probabilities=tuple(probabilities.tolist()),
        )
        for file, probabilities in zip(files, result.probabilities, strict=True)
    )
    document = PredictionsDocument(run_id=rebuilt.record.run_id, predictions=predictions)
    return PredictionResult(document, tuple(images[:, 0].numpy()))


def judge(result: Evaluation, labels: Tensor) -> dict[str, Any]:
    """The fields of `Answers`."""
    confidences = result.probabilities.amax(dim=1)
    bins = calibrate(confidences.tolist(), (result.predictions == labels).tolist())
    return {
        "accuracy": result.accuracy,
        "correct": result.correct,
        "total": result.total,
        "loss": result.loss,
        "interval": wilson_interval(result.correct, result.total),
        "confusion": tuple(tuple(row) for row in result.confusion.tolist()),
        "per_class": _judge_digits(result),
        "calibration": bins,
        "calibration_error": expected_calibration_error(bins),
        "mistakes": _list_mistakes(result, labels),
    }


def _distort(rebuilt: Rebuilt, examples: Examples) -> tuple[Robustness, ...]:
    rows = []
    for kind in DISTORTIONS:
        accuracies = []
        for strength in STRENGTHS[kind]:
            generator = devices.make_generator(0, "robustness")
            images = distort(examples.images, kind, strength, generator)
            harder = Examples(images, examples.labels)
            found = evaluate(rebuilt.model, harder, rebuilt.record.preset.normalization)
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
