"""Trained networks that answer to the images that another one learns from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mnistcli.engine.evaluation import Normalization, normalize
from mnistcli.engine.targets import SoftTargets

Teach = Callable[[Tensor], SoftTargets]
"""Augmented images, float (n, 1, 28, 28) in [0, 1] → what to learn from."""


@dataclass(frozen=True)
class Teachers:
    """Networks in evaluation mode, on the device of the training."""

    models: Sequence[tuple[nn.Module, Normalization]]
    temperature: float
    weight: float
    precision: torch.dtype

    @torch.no_grad()
    def __call__(self, images: Tensor) -> SoftTargets:
        """Return the mean of the networks' probabilities at the temperature."""
        answers = [
            self._answer(model, normalize(images.clone(), normalization))
            for model, normalization in self.models
        ]
        mean = torch.stack(answers).mean(dim=0)
        return SoftTargets(mean, self.temperature, self.weight)

    def _answer(self, model: nn.Module, inputs: Tensor) -> Tensor:
        with torch.autocast(inputs.device.type, self.precision, self.precision != torch.float32):
            logits: Tensor = model(inputs)
        return (logits.float() / self.temperature).softmax(dim=1)
