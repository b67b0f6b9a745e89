"""Run folder and pictures → the digits on them, or "don't know"."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnistcli.datasets.examples import Examples
from mnistcli.datasets.pictures import FoundDigit, list_pictures, read_pictures
from mnistcli.engine.evaluation import Evaluation
from mnistcli.errors import FileError, PresetError, UsageError, require_text
from mnistcli.experiment.answers import MIN_MEASURED, draw_sample, measure_limits, rate_similarity
from mnistcli.experiment.data import split_again
from mnistcli.experiment.load_run import LoadedRun, load_run
from mnistcli.experiment.machine import Options
from mnistcli.records.documents import AnswerLimits
from mnistcli.records.evaluations import Prediction, PredictionsDocument


@dataclass(frozen=True)
class PredictionResult:
    """Predictions for pictures, with the images that the network saw."""

    document: PredictionsDocument
    images: tuple[NDArray[np.uint8], ...]
    """Images (28, 28)."""
    faults: tuple[FileError, ...] = ()
    """Why other pictures could not be read."""


@dataclass(frozen=True)
class Rating:
    """How similar pictures are to the training images, and the limits that they must meet."""

    limits: AnswerLimits
    similarities: Sequence[float]


def predict_pictures(folder: Path, files: list[Path], options: Options) -> PredictionResult:
    """Predict the digits that pictures show with the trained network of a run.

    Raises:
        FileError: record or weights are unreadable, or all pictures.
        UsageError: the device is not available.
    """
    run = load_run(folder, options)
    found, faults = _read(list_pictures(files))
    images = torch.from_numpy(np.stack([digit.image for digit in found])[:, None])
    # The labels are unknown, and not used.
    examples = Examples(images, torch.zeros(len(images), dtype=torch.int64))
    result = run.evaluate(examples.to(run.device))
    warnings: tuple[str, ...] = ()
    rating = None
    try:
        rating = rate_pictures(run, images, result)
    except (FileError, PresetError) as error:
        warnings = (f"every picture is answered, whatever it shows: {error}",)
    document = PredictionsDocument(
        run_id=run.record.run_id,
        answer_limits=rating.limits if rating else None,
        predictions=tuple(
            _predict(digit, row, rating, place)
            for place, (digit, row) in enumerate(
                zip(found, result.probabilities.tolist(), strict=True)
            )
        ),
        warnings=warnings,
    )
    return PredictionResult(document, tuple(digit.image for digit in found), tuple(faults))


def _read(paths: Sequence[Path]) -> tuple[list[FoundDigit], list[FileError]]:
    """Return the digits on the pictures that can be read, and why others cannot.

    Raises:
        FileError: no picture can be read.
    """
    found: list[FoundDigit] = []
    faults: list[FileError] = []
    for path in paths:
        try:
            require_text(str(path))
            found += read_pictures([path])
        except FileError as error:
            faults.append(error)
        except UsageError as error:
            faults.append(FileError(str(error)))
    if not found:
        raise faults[0]
    return found, faults


def rate_pictures(run: LoadedRun, images: Tensor, result: Evaluation) -> Rating:
    """Compare pictures, uint8 (n, 1, 28, 28), with the run's training images.

    The limits are the record's. An older record has none: they are measured as they would have been
    then.

    Raises:
        FileError: the training images are not there, or too few.
        PresetError: the user's own network fails on them.
    """
    record = run.record
    examples, sha256 = run.load_images("train")
    if sha256 != record.data.train_sha256:
        raise run.lacks("train")
    training, held_out = split_again(record, examples.to(torch.device("cpu")))
    sample = draw_sample(training, held_out, record.seed)

    def answer(examples: Examples) -> Evaluation:
        return run.evaluate(examples.to(run.device))

    limits = record.answer_limits or measure_limits(sample, answer)
    if limits is None:
        raise FileError(
            f"the limits for that need {MIN_MEASURED} training images to be measured on, and there "
            f"are {len(sample.measured)}"
        )
    similarities = rate_similarity(images, result, sample.references, answer)
    return Rating(limits, similarities.tolist())


def _predict(
    digit: FoundDigit, probabilities: Sequence[float], rating: Rating | None, place: int
) -> Prediction:
    predicted = max(range(len(probabilities)), key=probabilities.__getitem__)
    confidence = probabilities[predicted]
    answer: int | None = predicted
    similarity = None
    if rating:
        similarity = rating.similarities[place]
        answer = predicted if rating.limits.are_met(confidence, similarity) else None
    return Prediction(
        file=digit.file,
        position=digit.position,
        box=digit.box,
        answer=answer,
        predicted=predicted,
        confidence=confidence,
        similarity=similarity,
        probabilities=tuple(probabilities),
    )
