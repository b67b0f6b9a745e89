"""The networks of this folder, and how the tests load them."""

from pathlib import Path

from mnistcli.preset.networks import load_network
from mnistcli.preset.schema import Preset

HERE = Path(__file__).parent
STYLES = [
    "FunctionalPooling", "View", "LogSoftmax", "Softmax", "SameModuleTwice", "Listed", "nested",
    "Defaults", "DropoutByMode", "Residual", "NoBias", "Lazy",
]  # fmt: skip
UNUSUAL = [
    "Rows", "Attention", "Encoder", "Tied", "Counting", "Noisy", "Frozen", "Unused", "Functions",
    "Double", "OwnGradient", "Device", "Numpy", "Cached", "Seldom", "Always", "compiled",
    "spectral", "OwnWeights",
]  # fmt: skip
DOCUMENTS = {
    "OptimizedNet": ("optimizednet-published", 421_642),
    "DualBlock": ("dualblock", 19_578),
    "JourneyV1": ("journey-v1", 420_614),
    "JourneyV2": ("journey-v2", 99_746),
    "SevenConv": ("sevenconv", 13_226),
    "OneByOne": ("onebyone", 19_114),
}
"""By the class: the preset of the same network, and its parameters."""
NETWORKS = [f"styles.py:{name}" for name in STYLES] + [f"unusual.py:{name}" for name in UNUSUAL]
EVERYTHING = NETWORKS + [f"documents.py:{name}" for name in DOCUMENTS]


def load(network: str, *overrides: str) -> Preset:
    return load_network(str(HERE / network), overrides)
