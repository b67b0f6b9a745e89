"""Trained networks that answer to the images that another one learns from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mnistcli.engine.evaluation import Normalization, keep_state, normalize
from mnistcli.engine.network.contain import contain
from mnistcli.engine.targets import SoftTargets
from mnistcli.preset.code.code import Code

Teach = Callable[[Tensor], SoftTargets]
"""Augmented images, float (n, 1, 28, 28) in [0, 1] → what to learn from."""


@dataclass(frozen=True)
class Teacher:
    """A network in evaluation mode, on the device of the training."""

    model: nn.Module
    normalization: Normalization
    precision: torch.dtype
    code: Code | None = None
    """The network's code, if it is code."""

    def answer(self, images: Tensor) -> Tensor:
        """Return the logits, float32 (n, 10), of float (n, 1, 28, 28) in [0, 1].

        Raises:
            PresetError: its code fails.
        """
        inputs = normalize(images.clone(), self.normalization)
        if self.code:
            with contain(self.code), keep_state(self.model):
                return self._compute(inputs)
        return self._compute(inputs)

    def _compute(self, inputs: Tensor) -> Tensor:
        with torch.autocast(inputs.device.type, self.precision, self.precision != torch.float32):
            logits: Tensor = self.model(inputs)
        return logits.float()


@dataclass(frozen=True)
class Teachers:
    """Networks that answer together."""

    teachers: Sequence[Teacher]
    temperature: float
    weight: float

    @torch.no_grad()
    def __call__(self, images: Tensor) -> SoftTargets:
        """Return the mean of the networks' probabilities at the temperature."""
        answers = [
            (teacher.answer(images) / self.temperature).softmax(dim=1) for teacher in self.teachers
        ]
        mean = torch.stack(answers).mean(dim=0)
        return SoftTargets(mean, self.temperature, self.weight)
