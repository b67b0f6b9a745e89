"""What is recorded of the networks of an ensemble."""

from mnistcli.records.base import Document


class MemberRecord(Document):
    """One network of an ensemble."""

    seed: int
    parameters: int
    train_seconds: float
    epochs: int
    kept_epoch: int | None = None
    """Epoch whose weights it has, where the preset keeps the best ones."""
    validation_accuracy: float | None = None
    """On the held-out images, after its last or its kept epoch."""
