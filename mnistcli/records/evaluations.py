"""The JSON contract of evaluations."""

from typing import Annotated, Literal

from pydantic import Field

from mnistcli.records.base import Document
from mnistcli.records.documents import AnswerLimits, Check, Interval


class DigitResult(Document):
    """Results for one true digit."""

    digit: int
    total: int
    correct: int
    precision: float | None
    """Fraction of the images predicted as this digit that show it; null if there are none."""
    recall: float | None
    """Fraction of the images of this digit that are predicted as it; null if there are none."""


class CalibrationBin(Document):
    """The images with a confidence between two limits."""

    low: float
    high: float
    total: int
    confidence: float | None
    """Mean confidence; null if there are no images."""
    accuracy: float | None


class Mistake(Document):
    """A wrong prediction."""

    index: int
    """Index of the image in the split."""
    digit: int
    predicted: int
    confidence: float
    """Probability of the predicted digit."""
    true_probability: float
    """Probability of the true digit."""


class Robustness(Document):
    """Accuracies on images distorted with increasing strength."""

    distortion: Literal["rotation", "shift", "scale", "noise", "blur"]
    unit: str
    """Unit of the strengths."""
    strengths: tuple[float, ...]
    accuracies: tuple[float, ...]


class EvaluationMetrics(Document):
    """Metrics of a network, or of an ensemble, on a split."""

    accuracy: float
    correct: int
    total: int
    loss: float
    interval: Interval
    confusion: tuple[tuple[int, ...], ...]
    """Rows are true digits, columns are predicted digits."""
    per_class: tuple[DigitResult, ...]
    calibration: tuple[CalibrationBin, ...]
    calibration_error: float
    """Expected calibration error: mean distance of confidence and accuracy over the images."""
    mistakes: tuple[Mistake, ...]
    """All mistakes, sorted by the probability of the true digit, lowest first."""


class EvaluationDocument(EvaluationMetrics):
    """Output of `evaluate` for one run."""

    schema_: Annotated[Literal["mnistcli.evaluation/1"], Field(alias="schema")] = (
        "mnistcli.evaluation/1"
    )
    run_id: str
    preset: str
    split: Literal["train", "test"]
    data: str
    """Name of the data set, or its folder."""
    own_images: bool = True
    """Whether these are the images of this split that the run was trained and tested with."""
    images_per_second: float
    """Speed from bytes to logits, in batches of 512 images, in float32."""
    milliseconds_per_image: float
    """Latency of a single image."""
    weights_bytes: int
    """Size of weights.safetensors."""
    robustness: tuple[Robustness, ...]
    """Present with `--robustness`."""
    matches_record: bool | None
    """Whether test figures and parameters are those of the run record; null for other images."""
    parameters: int | None = None
    """Present with `--weights`, as all that follows."""
    macs: int | None = None
    checks: tuple[Check, ...] = ()
    not_checked: tuple[str, ...] = ()
    """Figures that the budget limits and that weights alone do not show."""
    passed: bool | None = None
    warnings: tuple[str, ...] = ()


class Ensemble(EvaluationMetrics):
    """Metrics of an ensemble, which averages the probabilities of its networks."""

    runs: tuple[str, ...]
    """Run ids."""


class EvaluationsDocument(Document):
    """Output of `evaluate` for several runs."""

    schema_: Annotated[Literal["mnistcli.evaluations/1"], Field(alias="schema")] = (
        "mnistcli.evaluations/1"
    )
    runs: tuple[EvaluationDocument, ...]
    ensemble: Ensemble


class Prediction(Document):
    """Prediction for one digit of a picture."""

    file: str
    position: int = 1
    """Place among the digits of the picture, from 1."""
    box: tuple[int, int, int, int] | None = None
    """Left, top, right and bottom of the digit in the picture, in pixels."""
    answer: int | None = None
    """The predicted digit, or null for "don't know"."""
    predicted: int
    """The most probable digit, whether or not it is the answer."""
    confidence: float
    """Probability of the predicted digit."""
    similarity: float | None = None
    """Similarity to the most similar training image, at most 1; null without limits."""
    probabilities: tuple[float, ...]
    """Probabilities of the digits 0 to 9."""


class PredictionsDocument(Document):
    """Output of `evaluate --images`."""

    schema_: Annotated[Literal["mnistcli.predictions/1"], Field(alias="schema")] = (
        "mnistcli.predictions/1"
    )
    run_id: str
    answer_limits: AnswerLimits | None = None
    """Null if every picture is answered; a warning says why."""
    predictions: tuple[Prediction, ...]
    warnings: tuple[str, ...] = ()
