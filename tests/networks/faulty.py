"""Networks that cannot be trained, or not to the last bit, and what is said about them."""

import random
import threading
import warnings

import torch
import torch.nn.functional as F
from torch import nn


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 8)
        self.fc2 = nn.Linear(8, 10)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class Squeezes(Base):
    def forward(self, x):
        return super().forward(x).squeeze()


class Nine(Base):
    def forward(self, x):
        return super().forward(x)[:, :9]


class TupleInTraining(Base):
    def forward(self, x):
        y = super().forward(x)
        return (y, y) if self.training else y


class Integers(Base):
    def forward(self, x):
        return super().forward(x).long()


class NoGradient(Base):
    def forward(self, x):
        with torch.no_grad():
            return super().forward(x)


class SmallBatches(Base):
    """Fails at the last batch of an epoch alone."""

    def forward(self, x):
        if self.training and len(x) not in (2, 90):
            raise ValueError("an odd batch")
        return super().forward(x)


class PhaseBatches(Base):
    """Fails at the last batch of a phase of 120 images alone."""

    def forward(self, x):
        if self.training and len(x) == 30:
            raise ValueError("30 images")
        return super().forward(x)


class OnlyFloat32(Base):
    def forward(self, x):
        y = super().forward(x)
        return torch.zeros(y.shape).scatter_add(0, torch.zeros(y.shape, dtype=torch.int64), y)


class Grows(Base):
    def forward(self, x):
        if not hasattr(self, "more"):
            self.more = nn.Linear(10, 10)
        return self.more(super().forward(x))


class KeepsOutputs(Base):
    def __init__(self):
        super().__init__()
        self.register_buffer("last", torch.zeros(0))

    def forward(self, x):
        y = super().forward(x)
        self.last = y.detach()
        return y


class BufferFromNone(Base):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", None)

    def forward(self, x):
        if self.training:
            self.mean = x.detach().mean().float()
        return super().forward(x)


class Complex(Base):
    def __init__(self):
        super().__init__()
        self.phase = nn.Parameter(torch.ones(10, dtype=torch.complex64))

    def forward(self, x):
        return super().forward(x) * self.phase.abs()


class SparseGradient(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(4, 10, sparse=True)

    def forward(self, x):
        return self.embedding((x.flatten(1)[:, :50].abs().clamp(max=3)).long()).mean(dim=1)


class SparseBuffer(Base):
    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.eye(3).to_sparse(), persistent=False)


class ExtraState(Base):
    def get_extra_state(self):
        return {"steps": 3}

    def set_extra_state(self, state):
        pass


class ForgetsWeight(Base):
    def state_dict(self, *args, **kwargs):
        state = super().state_dict(*args, **kwargs)
        del state["fc2.weight"]
        return state


class InAList(Base):
    def __init__(self):
        super().__init__()
        self._layers = [nn.Linear(784, 784), nn.ReLU()]

    def forward(self, x):
        return super().forward(self._layers[0](x.flatten(1)).view_as(x))


class InADictionary(Base):
    def __init__(self):
        super().__init__()
        self.parts = {"scales": [nn.Parameter(torch.ones(1))]}

    def forward(self, x):
        return super().forward(x) * self.parts["scales"][0]


class RandomValues(Base):
    def __init__(self):
        super().__init__()
        self.noise = torch.randn(10)

    def forward(self, x):
        return super().forward(x) + self.noise


class Subclass(torch.Tensor):
    pass


class ReturnsSubclass(Base):
    def forward(self, x):
        return super().forward(x).as_subclass(Subclass)


class Locked(Base):
    """Cannot be copied, as a moving average of the weights needs it."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class Counts(Base):
    def __init__(self):
        super().__init__()
        self.steps = 0

    def forward(self, x):
        self.steps += 1
        return super().forward(x)


class OwnGenerators(Base):
    def __init__(self):
        super().__init__()
        self.noise, self.rolls = torch.Generator().manual_seed(1), random.Random(2)
        self.features = None

    def forward(self, x):
        self.features = x + torch.rand(x.shape, generator=self.noise) * self.rolls.random()
        return super().forward(self.features)


class Seldom(Base):
    def __init__(self):
        super().__init__()
        self.aside = nn.Linear(784, 10)

    def forward(self, x):
        y = super().forward(x)
        return y + self.aside(x.flatten(1)) if self.training else y


class Warns(Base):
    def forward(self, x):
        warnings.warn("an old layer", stacklevel=1)
        return super().forward(x)
