"""What the network should answer to a batch: labels, perhaps mixed, and a teacher's answers."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class SoftTargets:
    """A teacher's answers to the images of a batch."""

    probabilities: Tensor
    """At the temperature, float (n, 10)."""
    temperature: float
    weight: float
    """Weight of these in the loss; the labels have the rest."""

    def measure_losses(self, logits: Tensor) -> Tensor:
        """Return temperature² · KL(teacher ‖ network) of every image, float (n,).

        Source: Hinton et al. 2015, section 2.
        """
        own = functional.log_softmax(logits / self.temperature, dim=1)
        divergences = functional.kl_div(own, self.probabilities, reduction="none").sum(dim=1)
        return divergences * self.temperature**2


@dataclass(frozen=True)
class Targets:
    """The labels of a batch, and what else is learned from."""

    labels: Tensor
    """int64 (n,)."""
    others: Tensor | None = None
    """Labels of the images that were mixed in, int64 (n,)."""
    weights: Tensor | None = None
    """Weight of each image's own label, float (n,) in [0, 1]; the other's is the rest."""
    soft: SoftTargets | None = None

    def measure_losses(self, logits: Tensor, label_smoothing: float, *, each: bool) -> Tensor:
        """Return the loss of `each` image, float (n,), or their mean, float ()."""
        if self.soft is None and self.others is None:
            return _measure(logits, self.labels, label_smoothing, each=each)
        losses = _measure(logits, self.labels, label_smoothing, each=True)
        if self.others is not None and self.weights is not None:
            other = _measure(logits, self.others, label_smoothing, each=True)
            losses = other.lerp(losses, self.weights)
        if self.soft is not None:
            losses = losses.lerp(self.soft.measure_losses(logits), self.soft.weight)
        return losses if each else losses.mean()


def _measure(logits: Tensor, labels: Tensor, label_smoothing: float, *, each: bool) -> Tensor:
    reduction = "none" if each else "mean"
    return functional.cross_entropy(
        logits, labels, label_smoothing=label_smoothing, reduction=reduction
    )
