"""The MNIST that is part of the package."""

from pathlib import Path

from mnistcli.preset.choices import Split

EMBEDDED = Path(__file__).parent.parent / "mnist"
MNIST_SHA256: dict[Split, str] = {
    "train": "d18cfd466eb143ac1097fde604dba9eec4116885869d04cc648b510949f9e88c",
    "test": "a0863a96c44e5666edbb30c4071ee79ca0514c621e6349c5967fc78e7305c891",
}
"""Fingerprints of the canonical MNIST, as `examples.fingerprint` returns them. Every
[reference] and every published figure is about its test images."""
