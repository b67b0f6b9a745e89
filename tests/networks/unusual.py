"""Networks with what makes counting, or resuming to the last bit, hard."""

import math
import random
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Rows(nn.Module):
    """An LSTM over the rows of an image."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(28, 48, batch_first=True)
        self.fc = nn.Linear(48, 10)

    def forward(self, x):
        states, _ = self.lstm(x.squeeze(1))
        return self.fc(states[:, -1])


class Attention(nn.Module):
    """Attention between patches, with learned positions and a residual sum."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(1, 32, 4, stride=4)
        self.place = nn.Parameter(torch.zeros(1, 49, 32))
        self.norm = nn.LayerNorm(32)
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32))
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2) + self.place
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        x = x + self.mlp(x)
        return self.fc(x.mean(dim=1))


class Encoder(nn.Module):
    """PyTorch's own transformer layer, which has a fast path in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.rows = nn.Linear(28, 24)
        self.encoder = nn.TransformerEncoderLayer(24, 2, 48, dropout=0.1, batch_first=True)
        self.fc = nn.Linear(28 * 24, 10)

    def forward(self, x):
        return self.fc(self.encoder(self.rows(x.squeeze(1))).flatten(1))


class Tied(nn.Module):
    """An output layer with the weights of the one before, and one weight under two names."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 5, stride=3)
        self.down = nn.Linear(512, 16)
        self.up = nn.Linear(16, 512)
        self.up.weight = nn.Parameter(torch.randn(512, 16) / 16)
        self.first = nn.Linear(16, 16)
        self.second = nn.Linear(16, 16)
        self.second.weight = self.first.weight
        self.out = nn.Linear(16, 10)

    def forward(self, x):
        x = F.relu(self.down(self.conv(x).flatten(1)))
        x = x + self.second(F.relu(self.first(x)))
        return self.out(x + F.linear(self.up(x), self.up.weight.t()))


class Counting(nn.Module):
    """Buffers that forward changes: one that is saved, and one that is not."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 12, 5, stride=3)
        self.fc = nn.Linear(12 * 8 * 8, 10)
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64), persistent=False)

    def forward(self, x):
        if self.training:
            self.steps += 1
            self.mean = 0.9 * self.mean + 0.1 * x.detach().float().mean()
        scale = 1 + 1 / (10 + self.steps)
        return scale * self.fc(F.relu(self.conv(x - self.mean)).flatten(1))


class Noisy(nn.Module):
    """Draws noise in forward from the global generator."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 24)
        self.fc2 = nn.Linear(24, 10)

    def forward(self, x):
        x = x.flatten(1)
        if self.training:
            x = x + 0.1 * torch.rand_like(x) + 0.01 * torch.randn(1)
        return self.fc2(F.relu(self.fc1(x)))


class Frozen(nn.Module):
    """A first layer that is not trained."""

    def __init__(self):
        super().__init__()
        self.fixed = nn.Conv2d(1, 16, 5, stride=2)
        self.fixed.requires_grad_(False)
        self.norm = nn.BatchNorm2d(16)
        self.fc = nn.Linear(16 * 6 * 6, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.fixed(x))), 2)
        return self.fc(x.flatten(1))


class Unused(nn.Module):
    """Layers that forward forgets."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 12, 5, stride=3)
        self.forgotten = nn.Conv2d(12, 12, 3)
        self.spare = nn.Parameter(torch.zeros(5))
        self.fc = nn.Linear(12 * 8 * 8, 10)

    def forward(self, x):
        return self.fc(F.relu(self.conv(x)).flatten(1))


class Functions(nn.Module):
    """Parameters of its own and matrix products outside of any module."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, 1, 5, 5) / 5)
        self.weight = nn.Parameter(torch.randn(8 * 12 * 12, 10) / math.sqrt(8 * 12 * 12))
        self.bias = nn.Parameter(torch.zeros(10))

    def forward(self, x):
        x = F.max_pool2d(F.conv2d(x, self.kernel).relu(), 2)
        return x.flatten(1) @ self.weight + self.bias


class Double(nn.Module):
    """Computes in float64, whatever it is given."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, 20), nn.ReLU(), nn.Linear(20, 10))
        self.double()

    def forward(self, x):
        with torch.autocast(x.device.type, enabled=False):
            return self.layers(x.double())


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        sigmoid = torch.sigmoid(x)
        return gradient * (sigmoid + x * sigmoid * (1 - sigmoid))


class OwnGradient(nn.Module):
    """An activation with a gradient of its own."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5, stride=2)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2)
        self.fc = nn.Linear(16 * 5 * 5, 10)

    def forward(self, x):
        x = Swish.apply(self.conv2(Swish.apply(self.conv1(x))))
        return self.fc(x.flatten(1))


class Device(nn.Module):
    """Chooses its device itself, as training scripts do."""

    def __init__(self):
        super().__init__()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 20), nn.ReLU(), nn.Linear(20, 10))
        self.to(self.device)

    def forward(self, x):
        return self.net(x.to(self.device))


class Numpy(nn.Module):
    """Weights and noise from NumPy's and Python's global generators."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(np.random.randn(784, 10) / 28).float())
        self.bias = nn.Parameter(torch.tensor([random.random() for _ in range(10)]))

    def forward(self, x):
        if self.training:
            x = x + 0.1 * np.random.rand() - 0.1 * random.random()
        return x.flatten(1) @ self.weight + self.bias


class Cached(nn.Module):
    """Keeps a tensor from its first forward, which is in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.wave = None
        self.fc1 = nn.Linear(784, 16)
        self.fc2 = nn.Linear(16, 10)

    def forward(self, x):
        x = self.fc1(x.flatten(1))
        if self.wave is None:
            self.wave = torch.sin(torch.arange(16.0, device=x.device))
        return self.fc2(torch.relu(x * self.wave))


class Seldom(nn.Module):
    """Leaves a layer out half of the time."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 16)
        self.fc2 = nn.Linear(16, 16)
        self.fc3 = nn.Linear(16, 10)

    def forward(self, x):
        x = torch.relu(self.fc1(x.flatten(1)))
        if not self.training or random.random() < 0.5:
            x = x + torch.relu(self.fc2(x))
        return self.fc3(x)


class Always(nn.Module):
    """A buffer that every forward changes, in evaluation mode too."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 16)
        self.fc2 = nn.Linear(16, 10)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return self.fc2(torch.relu(self.fc1(x.flatten(1)))) * (1 + 1 / self.calls)


def compiled():
    """TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(Plain())


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 16)
        self.fc2 = nn.Linear(16, 10)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


def spectral():
    """Parametrizations, with buffers that training changes."""
    return nn.Sequential(
        nn.Flatten(),
        nn.utils.parametrizations.spectral_norm(nn.Linear(784, 16)),
        nn.ReLU(),
        nn.utils.parametrizations.weight_norm(nn.Linear(16, 10)),
    )


class OwnWeights(nn.Module):
    """Weights that a product of matrices makes, once for any number of images."""

    def __init__(self):
        super().__init__()
        self.left = nn.Parameter(torch.randn(784, 5) / 28)
        self.right = nn.Parameter(torch.randn(5, 10) / 2)

    def forward(self, x):
        return x.flatten(1) @ (self.left @ self.right)
