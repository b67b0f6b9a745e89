"""Trained run → integer model, and what is known of both."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from mnistcli import __version__
from mnistcli.datasets.examples import Examples
from mnistcli.engine.device import make_generator
from mnistcli.errors import UsageError
from mnistcli.experiment.load_run import LoadedRun
from mnistcli.export.convert import convert
from mnistcli.export.facts import Accuracy, Facts
from mnistcli.export.integer import IntegerModel
from mnistcli.verdict.stats import wilson_interval

CALIBRATION = 1_000
"""Training images that the scales of 8-bit values are chosen by."""


@dataclass(frozen=True)
class Converted:
    """A run in integers, with what was measured of it."""

    run: LoadedRun
    model: IntegerModel
    facts: Facts
    images: NDArray[np.uint8]
    """Test images (n, 28, 28)."""
    logits: NDArray[np.int32]
    """Logits (n, 10) of the definition for the test images."""


def convert_run(run: LoadedRun) -> Converted:
    """Convert the network of a run, and measure it before and after.

    Raises:
        FileError: the run's data are unreadable.
        UsageError: the network has no integer form.
    """
    record = run.record
    if record.preset.model.layers is None:
        raise UsageError(
            f'cannot convert "{run.folder}" to integers: its network is Python code. '
            "Use --to onnx, or a network of layers."
        )
    (train, _), (test, _) = run.load_images("train"), run.load_images("test")
    order = torch.randperm(len(train), generator=make_generator(0, "calibration"))
    calibration = train.images.cpu()[order[:CALIBRATION]]
    model = convert(run.model.cpu(), record.preset.normalization, calibration)
    images = test.images[:, 0].cpu().numpy()
    logits = model.compute_logits(images)
    facts = replace(
        gather_facts(run, test), integer_accuracy=rate(_count_correct(logits, test), len(test))
    )
    return Converted(run, model, facts, images, logits)


def gather_facts(run: LoadedRun, test: Examples) -> Facts:
    """Return what is known of a run whose network has no integer form.

    Raises:
        FileError: its outputs are not finite.
    """
    record = run.record
    is_float = record.preset.train.quantize is None
    return Facts(
        run_id=record.run_id,
        preset=record.preset.name,
        version=__version__,
        weights_sha256=record.weights_sha256,
        data=run.data_name,
        parameters=record.parameters,
        macs=record.macs,
        float_accuracy=rate(run.evaluate(test).correct, len(test)) if is_float else None,
        integer_accuracy=None,
        answer_limits=record.answer_limits,
    )


def rate(correct: int, total: int) -> Accuracy:
    """Return an accuracy with its interval."""
    return Accuracy(correct, total, wilson_interval(correct, total))


def _count_correct(logits: NDArray[np.int32], test: Examples) -> int:
    return int((logits.argmax(axis=1) == test.labels.cpu().numpy()).sum())
