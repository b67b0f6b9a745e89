"""Preset and options → the images of a run."""

from dataclasses import dataclass

from torch import Tensor

from mnistcli.datasets.cached import find_dataset, name_data
from mnistcli.datasets.examples import Examples, corrupt_labels, fingerprint, split_validation
from mnistcli.datasets.load import load_examples
from mnistcli.engine.device import make_generator
from mnistcli.errors import FileError, PresetError
from mnistcli.experiment.machine import Machine, Options
from mnistcli.preset.schema import Preset
from mnistcli.records.documents import RunRecord
from mnistcli.records.folders import name_absolutely
from mnistcli.records.sources import DataSource

MAX_HELD_OUT = 10_000
"""Images that a study holds out, of six times as many."""


@dataclass(frozen=True)
class Data:
    """The images of a run, on its device."""

    train: Examples
    validation: Examples | None
    test: Examples
    """Those that the result is measured on."""
    source: DataSource
    right_labels: Tensor
    """Labels of the training images before any of them was made wrong, int64 (n,)."""


def load_data(preset: Preset, options: Options, machine: Machine) -> Data:
    """Read the images, and hold out what the preset wants evaluated after every epoch.

    Raises:
        PresetError: too many images are held out.
        FileError: the data is unreadable.
    """
    whole = load_examples("train", options.data)
    if options.hold_out:
        examples, test = split_off(whole)
    else:
        examples, test = whole, load_examples("test", options.data)
    name = find_dataset(options.data)
    source = DataSource(
        source=name_data(options.data),
        folder=name_absolutely(options.data) if options.data and name != "mnist" else None,
        dataset=name,
        train_sha256=fingerprint(whole),
        test_sha256=fingerprint(test),
        evaluated_on="held-out" if options.hold_out else "test",
    )
    examples, validation = hold_out(preset, examples, options.seed)
    right_labels = examples.labels
    if noise := preset.data.label_noise:
        generator = make_generator(options.seed, "noise")
        examples = corrupt_labels(examples, noise, generator)
    return Data(
        train=examples.to(machine.device),
        validation=validation.to(machine.device) if validation else None,
        test=test.to(machine.device),
        source=source,
        right_labels=right_labels.to(machine.device),
    )


def split_again(record: RunRecord, examples: Examples) -> tuple[Examples, Examples | None]:
    """Return of all training images those that a run learned from, and what its preset held out."""
    if record.data.evaluated_on == "held-out":
        examples, _ = split_off(examples)
    return hold_out(record.preset, examples, record.seed)


def split_off(examples: Examples) -> tuple[Examples, Examples]:
    """Return the training images without a sixth, at most 10,000, and these.

    They are the same for all seeds, as a test set is: runs differ by their training alone.

    Raises:
        FileError: there are too few images.
    """
    count = min(MAX_HELD_OUT, len(examples) // 6)
    if not count:
        raise FileError(f"too few training images to hold any out: {len(examples)}")
    return split_validation(examples, count, make_generator(0, "study"))


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
