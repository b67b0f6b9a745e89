"""Networks in the styles that people write them in, each with fewer than 20,000 parameters."""

import torch
import torch.nn.functional as F
from torch import nn


class FunctionalPooling(nn.Module):
    """Pooling and activations as functions, in forward."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc = nn.Linear(16 * 7 * 7, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(torch.flatten(x, 1))


class View(nn.Module):
    """Reshapes with view, as older tutorials do; it needs contiguous values."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(320, 10)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = x.view(-1, 320)
        return self.fc(x)


class LogSoftmax(nn.Module):
    """Returns log-probabilities, as PyTorch's own basic example does."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1)
        self.conv2 = nn.Conv2d(8, 16, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.fc1 = nn.Linear(16 * 6 * 6, 24)
        self.fc2 = nn.Linear(24, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2, padding=1)
        x = self.dropout1(x).flatten(1)
        return F.log_softmax(self.fc2(F.relu(self.fc1(x))), dim=1)


class Softmax(nn.Module):
    """Returns probabilities, which the tool warns about."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Linear(16 * 7 * 7, 10)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x):
        x = self.features(x)
        return self.softmax(self.classifier(x.reshape(x.size(0), -1)))


class SameModuleTwice(nn.Module):
    """One convolution, one pooling and one ReLU, each used several times."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.conv = nn.Conv2d(16, 16, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc = nn.Linear(16 * 7 * 7, 10)

    def forward(self, x):
        x = self.pool(self.relu(self.stem(x)))
        x = self.relu(self.conv(x))
        x = self.pool(self.relu(self.conv(x)))
        return self.fc(x.flatten(start_dim=1))


class Listed(nn.Module):
    """Layers in a ModuleList, which is never called itself."""

    def __init__(self):
        super().__init__()
        sizes = [1, 8, 16, 24]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1) for a, b in zip(sizes[:-1], sizes[1:], strict=True)
        )
        self.heads = nn.ModuleDict({"digits": nn.Linear(24 * 3 * 3, 10)})

    def forward(self, x):
        for conv in self.convs:
            x = F.max_pool2d(conv(x).relu(), 2)
        return self.heads["digits"](x.flatten(1))


def block(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def nested():
    """A function that returns Sequential in Sequential."""
    return nn.Sequential(
        nn.Sequential(block(1, 8), block(8, 12), nn.MaxPool2d(2)),
        nn.Sequential(block(12, 16), nn.Sequential(block(16, 16), nn.MaxPool2d(2))),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)),
    )


class Defaults(nn.Module):
    """A constructor with defaults."""

    def __init__(self, width=12, classes=10, activation=nn.GELU, dropout=0.1):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 5, stride=2, padding=2),
            nn.BatchNorm2d(width),
            activation(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.BatchNorm2d(2 * width),
            activation(),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(2 * width * 7 * 7, classes),
        )

    def forward(self, x):
        return self.layers(x)


class DropoutByMode(nn.Module):
    """Dropout as a function that looks at self.training."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 5, stride=2)
        self.hidden = nn.Linear(16 * 6 * 6, 24)
        self.out = nn.Linear(24, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv(x)), 2)
        x = F.relu(self.hidden(x.reshape(len(x), -1)))
        x = F.dropout(x, p=0.1, training=self.training)
        return self.out(x)


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(x + self.bn2(self.conv2(y)))


class Residual(nn.Module):
    """Blocks with a sum."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 12, 3, stride=2, padding=1)
        self.block1 = Block(12)
        self.block2 = Block(12)
        self.head = nn.Linear(12 * 7 * 7, 10)

    def forward(self, x):
        x = F.max_pool2d(self.block1(self.stem(x)), 2)
        return self.head(self.block2(x).flatten(1))


class NoBias(nn.Module):
    """No bias anywhere."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5, bias=False)
        self.conv2 = nn.Conv2d(8, 16, 5, bias=False)
        self.fc = nn.Linear(16 * 4 * 4, 10, bias=False)

    def forward(self, x):
        x = F.avg_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.avg_pool2d(torch.tanh(self.conv2(x)), 2)
        return self.fc(x.flatten(1))


class Lazy(nn.Module):
    """Layers that learn their input's size from the first images."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.LazyConv2d(8, 3, stride=2)
        self.norm = nn.LazyBatchNorm2d()
        self.conv2 = nn.LazyConv2d(16, 3, stride=2)
        self.fc = nn.LazyLinear(10)

    def forward(self, x):
        x = F.relu(self.norm(self.conv1(x)))
        return self.fc(F.relu(self.conv2(x)).flatten(1))
