"""What is recorded of a pruned network."""

from mnistcli.records.base import Document


class PruningRecord(Document):
    """The network before its pruning, and the weights that are left after the fine-tuning."""

    epochs: int
    """Number of epochs before the pruning."""
    parameters_before: int
    macs_before: int
    weights: int | None
    """Weights of convolutions and linear layers, without biases; null if channels were pruned."""
    non_zero_weights: int | None
    """Weights of these that are not zero; the parameters count all."""
