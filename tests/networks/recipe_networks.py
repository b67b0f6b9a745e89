"""Networks that the default recipe was chosen on, in the styles that people hand in."""

import torch
import torch.nn.functional as F
from torch import nn


class MLP(nn.Module):
    """Linear layers only."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(),
            nn.Linear(24, 10),
        )  # fmt: skip

    def forward(self, x):
        return self.layers(x)


class RowLSTM(nn.Module):
    """A recurrent network that reads an image row by row."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(28, 48, batch_first=True)
        self.head = nn.Linear(48, 10)

    def forward(self, x):
        out, _ = self.lstm(x.squeeze(1))
        return self.head(out[:, -1])


class Basic(nn.Module):
    """PyTorch's basic MNIST example, with fewer channels and a stride."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 2)
        self.conv2 = nn.Conv2d(8, 16, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(400, 40)
        self.fc2 = nn.Linear(40, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.max_pool2d(x, 2)
        x = self.dropout1(x)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = self.dropout2(x)
        return F.log_softmax(self.fc2(x), dim=1)


class Classic(nn.Module):
    """PyTorch's former MNIST example: dropout of channels and values, 21,840 parameters."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.conv2_drop = nn.Dropout2d()
        self.fc1 = nn.Linear(320, 50)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2_drop(self.conv2(x)), 2))
        x = x.view(-1, 320)
        x = F.relu(self.fc1(x))
        x = F.dropout(x, training=self.training)
        x = self.fc2(x)
        return F.log_softmax(x, dim=1)


class LeNet5(nn.Module):
    """LeNet-5 as it is usually retold: tanh and average pooling."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(16, 120, 5), nn.Tanh(),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class Course(nn.Module):
    """As in many courses: batch norm and dropout after every convolution, log-probabilities."""

    def __init__(self, dropout=0.05):
        super().__init__()
        self.conv1 = self.block(1, 8, dropout)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = self.block(8, 16, dropout)
        self.conv3 = self.block(16, 16, dropout)
        self.trans1 = nn.Sequential(nn.MaxPool2d(2, 2), nn.Conv2d(16, 12, 1, bias=False))
        self.conv4 = self.block(12, 24, dropout)
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.conv6 = nn.Conv2d(24, 10, 1, bias=False)

    def block(self, inputs, outputs, dropout):
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, bias=False),
            nn.ReLU(),
            nn.BatchNorm2d(outputs),
            nn.Dropout(dropout),
        )

    def forward(self, x):
        x = self.pool(self.conv1(x))
        x = self.trans1(self.conv3(self.conv2(x)))
        x = self.conv6(self.gap(self.conv4(x)))
        x = x.view(-1, 10)
        return F.log_softmax(x, dim=-1)


def separable(inputs, outputs, stride=1):
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs),
        nn.Conv2d(inputs, outputs, 1),
        nn.ReLU(),
    )


class Separable(nn.Module):
    """Depthwise-separable convolutions without any normalization."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 12, 5, 2, 2)
        self.body = nn.Sequential(
            separable(12, 24), separable(24, 32, 2), separable(32, 64), separable(64, 64, 2)
        )
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        x = self.body(torch.relu(self.stem(x)))
        return self.head(x.mean(dim=(2, 3)))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet(nn.Module):
    """A small residual network with batch norm."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.blocks = nn.Sequential(Block(8, 16, 2), Block(16, 32, 2))
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        return self.fc(self.blocks(self.stem(x)).mean((2, 3)))


class AllConv(nn.Module):
    """Convolutions, half of them 1 x 1, and global average pooling, without normalization."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 12, 5, 2, 2), nn.ReLU(), nn.Conv2d(12, 16, 1), nn.ReLU(),
            nn.Conv2d(16, 24, 3, 2, 1), nn.ReLU(), nn.Conv2d(24, 24, 1), nn.ReLU(),
            nn.Conv2d(24, 32, 3), nn.ReLU(), nn.Conv2d(32, 10, 1), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )  # fmt: skip

    def forward(self, x):
        return self.net(x)


class Patches(nn.Module):
    """A tiny vision transformer over 7 x 7 patches."""

    def __init__(self, width=32, depth=2):
        super().__init__()
        self.patches = nn.Conv2d(1, width, 7, 7)
        self.positions = nn.Parameter(0.02 * torch.randn(1, 16, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, 4, 2 * width, dropout=0.0, activation="gelu", batch_first=True,
                norm_first=True,
            )
            for _ in range(depth)
        )  # fmt: skip
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x.mean(1)))
