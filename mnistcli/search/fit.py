"""Which networks fit the budget, by what can be counted before any training."""

from dataclasses import dataclass

from mnistcli.errors import PresetError
from mnistcli.experiment.network import describe_network
from mnistcli.experiment.sizes import count_sizes
from mnistcli.preset.schema import Preset
from mnistcli.records.documents import Check
from mnistcli.records.searches import Minimized
from mnistcli.verdict.budget import check_budget


@dataclass(frozen=True)
class Counted:
    """The figures of a network that is not trained, and the limits that it exceeds."""

    figures: dict[str, int]
    exceeded: tuple[Check, ...]


def count(preset: Preset, minimize: Minimized | None, train_images: int) -> Counted:
    """Build a network, and count everything that the budget limits and a training cannot change.

    Args:
        preset: with the budget.
        minimize: a figure to count as well.
        train_images: number of training images that there are.

    Raises:
        PresetError: the network cannot be built, or its bytes cannot be counted.
    """
    layers = describe_network(preset, measured=False)
    figures = {
        "parameters": preset.members * sum(layer.parameters for layer in layers),
        "macs": preset.members * sum(layer.macs for layer in layers),
    }
    sizes = count_sizes(preset, always=minimize == "flash")
    if sizes and sizes.fault:
        raise PresetError(sizes.fault)
    if sizes and sizes.constants is not None:
        figures["flash"] = sizes.constants
    images = train_images - preset.train.validation_examples
    images = preset.coreset.size if preset.coreset else images
    learned = {"epochs": preset.epochs, "train_examples": images}
    fraction = {"train_fraction": images / train_images}
    checks = check_budget(preset.budget, figures | learned | fraction, sizes)
    return Counted(figures, tuple(check for check in checks if check.verdict == "fail"))
