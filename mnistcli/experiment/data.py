"""Preset and options → the images of a run."""

from dataclasses import dataclass

from mnistcli.datasets.examples import Examples, corrupt_labels, fingerprint, split_validation
from mnistcli.datasets.load import load_examples
from mnistcli.engine.device import make_generator
from mnistcli.errors import PresetError
from mnistcli.experiment.machine import Machine, Options
from mnistcli.preset.schema import Preset
from mnistcli.records.documents import DataSource
from mnistcli.records.folders import name_absolutely

EMBEDDED_NAME = "MNIST (embedded)"


@dataclass(frozen=True)
class Data:
    """The images of a run, on its device."""

    train: Examples
    validation: Examples | None
    test: Examples
    source: DataSource


def load_data(preset: Preset, options: Options, machine: Machine) -> Data:
    """Read the images, and hold out what the preset wants evaluated after every epoch.

    Raises:
        PresetError: too many images are held out.
        FileError: the data is unreadable.
    """
    examples, test = load_examples("train", options.data), load_examples("test", options.data)
    source = DataSource(
        source=str(options.data) if options.data else EMBEDDED_NAME,
        folder=name_absolutely(options.data) if options.data else None,
        train_sha256=fingerprint(examples),
        test_sha256=fingerprint(test),
    )
    examples, validation = hold_out(preset, examples, options.seed)
    if noise := preset.data.label_noise:
        generator = make_generator(options.seed, "noise")
        examples = corrupt_labels(examples, noise, generator)
    return Data(
        train=examples.to(machine.device),
        validation=validation.to(machine.device) if validation else None,
        test=test.to(machine.device),
        source=source,
    )


def hold_out(preset: Preset, examples: Examples, seed: int) -> tuple[Examples, Examples | None]:
    """Return the training images to learn from, and those that the preset holds out.

    Raises:
        PresetError: too many images are held out.
    """
    if not (held_out := preset.train.validation_examples):
        return examples, None
    if held_out >= len(examples):
        raise PresetError(
            f"train.validation_examples: the data has only {len(examples):,} training images"
        )
    return split_validation(examples, held_out, make_generator(seed, "validation"))
