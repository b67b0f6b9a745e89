"""What is recorded of the trained networks that another one starts from or learns from."""

from mnistcli.records.base import Document
from mnistcli.records.sources import EvaluatedOn


class EarlierRun(Document):
    """A trained network that a run starts from or learns from."""

    run_id: str
    path: str
    """Absolute path of its run folder."""
    preset: str
    weights_sha256: str
    parameters: int
    train_seconds: float
    train_sha256: str
    """Fingerprint of its training images."""
    test_accuracy: float
    evaluated_on: EvaluatedOn = "test"


class Repetition(Document):
    """The repetition of an earlier run."""

    run_id: str
    """Id of the earlier run."""
    weights_sha256: str
    """Fingerprint of its weights."""
    differences: tuple[str, ...]
    """Recorded differences: versions, machine, threads, device, precision, data."""
    matches: bool | None = None
    """Whether the weights are identical; null for an unfinished run."""
