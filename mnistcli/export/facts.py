"""What is said about an exported network, beside the network itself."""

from dataclasses import dataclass

from mnistcli.records.documents import AnswerLimits, Interval


@dataclass(frozen=True)
class Accuracy:
    """Accuracy on the test set."""

    correct: int
    total: int
    interval: Interval
    """95 % Wilson interval, as fractions."""


@dataclass(frozen=True)
class Facts:
    """What is known of the run that an export is made of."""

    run_id: str
    preset: str
    version: str
    """Version of mnistcli."""
    weights_sha256: str
    data: str
    """Name of the data set."""
    parameters: int
    macs: int
    """Multiply-accumulates (MACs) for one image."""
    float_accuracy: Accuracy | None
    """Before it was converted to integers; None for a network that was trained for them."""
    integer_accuracy: Accuracy | None
    """None for a network without an integer model."""
    answer_limits: AnswerLimits | None
    """Which pictures get an answer, as in the record."""
