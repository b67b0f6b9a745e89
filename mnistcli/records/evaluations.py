"""The JSON contract of evaluations."""

from typing import Annotated, Literal

from pydantic import Field

from mnistcli.records.base import Document
from mnistcli.records.documents import Interval


class DigitResult(Document):
    """One true digit."""

    digit: int
    total: int
    correct: int
    precision: float | None
    """Of the images taken for this digit, the share that are; absent where there are none."""
    recall: float | None
    """Of the images of this digit, the share taken for it; absent where there are none."""


class CalibrationBin(Document):
    """The images whose most probable digit has a probability between two limits."""

    low: float
    high: float
    total: int
    confidence: float | None
    """The mean of these probabilities; absent where there are no images."""
    accuracy: float | None


class Mistake(Document):
    """One image that was taken for another digit."""

    index: int
    """In the split."""
    digit: int
    predicted: int
    confidence: float
    """The probability that the network gave to what it took it for."""
    true_probability: float


class Robustness(Document):
    """The accuracy on images that were made harder, all of them as much."""

    distortion: Literal["rotation", "shift", "scale", "noise", "blur"]
    unit: str
    """Of the strengths."""
    strengths: tuple[float, ...]
    accuracies: tuple[float, ...]


class Answers(Document):
    """How right a network, or several together, are about a split."""

    accuracy: float
    correct: int
    total: int
    loss: float
    interval: Interval
    confusion: tuple[tuple[int, ...], ...]
    """Rows are true digits, columns predicted ones."""
    per_class: tuple[DigitResult, ...]
    calibration: tuple[CalibrationBin, ...]
    calibration_error: float
    """Expected calibration error: how far confidence is from accuracy, weighted by images."""
    mistakes: tuple[Mistake, ...]
    """All of them, the one with the least probable true digit first."""


class EvaluationDocument(Answers):
    """What `evaluate` prints of one run."""

    schema_: Annotated[Literal["mnistcli.evaluation/1"], Field(alias="schema")] = (
        "mnistcli.evaluation/1"
    )
    run_id: str
    preset: str
    split: Literal["train", "test"]
    data: str
    images_per_second: float
    """From bytes to logits, 512 images at a time, in float32."""
    milliseconds_per_image: float
    """One image at a time."""
    weights_bytes: int
    """Size of the file."""
    robustness: tuple[Robustness, ...]
    """By distortion, if it was asked for."""
    matches_record: bool | None
    """Whether as many test images are right as the record says; absent on other images."""


class Ensemble(Answers):
    """Several networks that answer together, by the mean of their probabilities."""

    runs: tuple[str, ...]
    """Run ids."""


class EvaluationsDocument(Document):
    """What `evaluate` prints of several runs."""

    schema_: Annotated[Literal["mnistcli.evaluations/1"], Field(alias="schema")] = (
        "mnistcli.evaluations/1"
    )
    runs: tuple[EvaluationDocument, ...]
    ensemble: Ensemble


class Prediction(Document):
    """What a network takes one picture for."""

    file: str
    predicted: int
    confidence: float
    """The probability of that digit."""
    probabilities: tuple[float, ...]
    """Of the digits 0 to 9."""


class PredictionsDocument(Document):
    """What `evaluate --images` prints."""

    schema_: Annotated[Literal["mnistcli.predictions/1"], Field(alias="schema")] = (
        "mnistcli.predictions/1"
    )
    run_id: str
    predictions: tuple[Prediction, ...]
