"""The documents' own pipeline: PIL transforms per image, a DataLoader, float32."""

import gzip
import shutil
import time
from itertools import islice
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from mnistcli.datasets.embedded import EMBEDDED
from mnistcli.engine.device import make_generator
from mnistcli.engine.network.build import build_model
from mnistcli.engine.network.layers import SeededDropout
from mnistcli.preset.loading import load_preset
from tests.conftest import MNIST_FILES

TRANSFORMS = {
    "onebyone": [
        transforms.RandomApply([transforms.CenterCrop(22)], p=0.1),
        transforms.Resize((28, 28)),
        transforms.RandomRotation(degrees=10),
        transforms.ColorJitter(brightness=0.2, contrast=0.2),
        transforms.RandomAffine(0, translate=(0.1, 0.1), scale=(0.9, 1.1)),
    ],
    "sevenconv": [transforms.RandomRotation(20)],
    "dualblock": [transforms.RandomRotation(7)],
}


def unpack_mnist(folder: Path) -> Path:
    """Unpack the embedded files the way torchvision's MNIST expects them, and return the folder."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in (name for pair in MNIST_FILES.values() for name in pair):
        with gzip.open(EMBEDDED / f"{name}.gz") as packed, (raw / name).open("wb") as file:
            shutil.copyfileobj(packed, file)
    return folder


class DocumentPipeline:
    """A documented network, trained the way its document does."""

    def __init__(self, name: str, root: Path) -> None:
        settings = load_preset(name).train
        transform = transforms.Compose(
            [*TRANSFORMS[name], transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
        )
        examples = datasets.MNIST(str(root), train=True, download=False, transform=transform)
        self.loader = DataLoader(examples, batch_size=settings.batch_size, shuffle=True)
        self.model = build_model(
            load_preset(name).model.scaled_layers, make_generator(0, "weights")
        )
        for index, module in enumerate(self.model):
            if isinstance(module, SeededDropout):
                kind = nn.Dropout2d if module.channels else nn.Dropout
                self.model[index] = kind(1 - module.keep)
        rates = {"onebyone": torch.optim.Adam, "dualblock": torch.optim.AdamW}
        self.optimizer = (
            torch.optim.SGD(self.model.parameters(), lr=0.001, momentum=0.9)
            if name == "sevenconv"
            else rates[name](self.model.parameters(), lr=0.001)
        )
        self.criterion = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)

    def images_per_second(self, images: int) -> float:
        """Train on about this many images, as the documents' loops do, and return the speed."""
        self.model.train()
        seen, correct = 0, 0
        batches = max(1, images // (self.loader.batch_size or 1))
        start = time.perf_counter()
        for inputs, labels in islice(self.loader, batches):
            self.optimizer.zero_grad()
            outputs = self.model(inputs)
            loss = self.criterion(outputs, labels)
            loss.backward()
            self.optimizer.step()
            loss.item()
            correct += outputs.argmax(dim=1).eq(labels).sum().item()
            seen += len(labels)
        return seen / (time.perf_counter() - start)
