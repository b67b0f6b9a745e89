"""The networks of five documents, as plain modules; systems and counts are in presets/README.md."""

import torch.nn.functional as F
from torch import nn


class OptimizedNet(nn.Module):
    """421,642 parameters; published: 22,642."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.dropout1 = nn.Dropout2d(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(64 * 7 * 7, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.dropout1(x).flatten(1)
        return self.fc2(self.dropout2(F.relu(self.fc1(x))))


def conv_norm(inputs, outputs, kernel=3):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class DualBlock(nn.Module):
    """19,578 parameters."""

    def __init__(self):
        super().__init__()
        self.block1 = nn.Sequential(conv_norm(1, 16, 5), conv_norm(16, 16), nn.MaxPool2d(2))
        self.block2 = nn.Sequential(conv_norm(16, 32), conv_norm(32, 32), nn.MaxPool2d(2))
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 64), nn.ReLU(),
            nn.Dropout(0.25), nn.Linear(64, 10),
        )  # fmt: skip

    def forward(self, x):
        return self.head(self.block2(self.block1(x)))


class JourneyV1(nn.Module):
    """420,614 parameters."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([
            conv_norm(1, 8), conv_norm(8, 16), conv_norm(16, 32), conv_norm(32, 64),
            conv_norm(64, 128), nn.Conv2d(128, 256, 3, padding=1),
        ])  # fmt: skip
        self.fc1 = nn.Linear(256, 100)
        self.fc2 = nn.Linear(100, 10)

    def forward(self, x):
        for number, conv in enumerate(self.convs):
            x = conv(x)
            if number in (1, 3):
                x = F.max_pool2d(x, 2)
        return self.fc2(F.relu(self.fc1(x.mean(dim=(2, 3)))))


class JourneyV2(nn.Module):
    """99,746 parameters; published: fewer than 20,000."""

    def __init__(self, channels=(12, 24, 48, 48, 64, 64), dropout=0.1):
        super().__init__()
        sizes = zip((1, *channels), channels, strict=False)
        c = [conv_norm(inputs, outputs) for inputs, outputs in sizes]
        self.features = nn.Sequential(
            c[0], c[1], nn.MaxPool2d(2), c[2], c[3], nn.MaxPool2d(2), c[4], c[5]
        )
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(channels[-1], 10)

    def forward(self, x):
        x = F.adaptive_avg_pool2d(self.features(x), 1)
        return self.out(self.dropout(x.view(x.size(0), -1)))


class SevenConv(nn.Module):
    """13,226 parameters; the modules are named and called in the order of the preset's layers."""

    def __init__(self):
        super().__init__()
        for number, (inputs, outputs) in enumerate([(1, 8), (8, 16)] + 5 * [(16, 16)], start=1):
            conv = nn.Conv2d(inputs, outputs, 3, padding=1 if number < 5 else 0)
            self.add_module(f"conv{number}", conv)
            self.add_module(f"bn{number}", nn.BatchNorm2d(outputs))
            self.add_module(f"relu{number}", nn.ReLU())
        self.drop1, self.drop2 = nn.Dropout2d(0.05), nn.Dropout2d(0.05)
        self.pool1, self.pool2 = nn.MaxPool2d(2), nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        for number in range(1, 8):
            for kind in ("conv", "bn", "relu"):
                x = getattr(self, f"{kind}{number}")(x)
            if number == 2:
                x = self.pool1(self.drop1(x))
            if number == 4:
                x = self.pool2(self.drop2(x))
        return self.fc(self.flatten(x))


class OneByOne(nn.Module):
    """19,114 parameters."""

    def __init__(self):
        super().__init__()
        self.c1, self.c2 = conv_norm(1, 8), conv_norm(8, 16)
        self.c3, self.c4 = conv_norm(16, 16), conv_norm(16, 32)
        self.c5, self.c6 = conv_norm(32, 32), conv_norm(32, 32, 1)
        self.drop = nn.Dropout(0.05)
        self.out = nn.Linear(32, 10)

    def forward(self, x):
        x = self.drop(F.max_pool2d(self.c2(self.c1(x)), 2))
        x = self.drop(F.max_pool2d(self.c4(self.c3(x)), 2))
        x = self.drop(self.c6(self.c5(x)))
        return self.out(F.avg_pool2d(x, 7).flatten(1))
