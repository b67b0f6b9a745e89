"""A preset's [coreset] → the indices of the selected images."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mnistcli.datasets.examples import CLASSES, Examples, fingerprint
from mnistcli.engine.device import derive_seed
from mnistcli.engine.stages import Stages
from mnistcli.experiment.coresets.proxy_scores import Difficulty, score_difficulty
from mnistcli.experiment.machine import Machine
from mnistcli.preset import coreset as spec
from mnistcli.preset.coreset import Coreset
from mnistcli.records.arrays import read_indices, write_indices
from mnistcli.records.documents import CoresetRecord
from mnistcli.selection.coreset.groups import Floats, Indices, divide
from mnistcli.selection.coreset.select import score_of, select
from mnistcli.selection.features import project, take_pixels


@dataclass(frozen=True)
class SelectedCoreset:
    """Selected training images, and the time that selecting them took."""

    indices: Indices
    """int64 (size,), ascending."""
    class_counts: tuple[int, ...]
    total: int
    data_sha256: str
    seconds: dict[str, float]
    """Time by stage of the selection."""

    @property
    def tensor(self) -> Tensor:
        """The indices as a tensor."""
        return torch.from_numpy(self.indices)

    def save(self, folder: Path, settings: Coreset | None) -> CoresetRecord:
        """Write the indices to `folder`, and return their record.

        Raises:
            FileError: they cannot be written.
        """
        file = write_indices(folder, self.indices, self.data_sha256)
        return CoresetRecord(
            settings=settings,
            size=len(self.indices),
            total=self.total,
            class_counts=self.class_counts,
            seconds=self.seconds,
            indices_sha256=sha256(self.indices.data).hexdigest(),
            indices_file=str(file),
        )


class SelectionInputs:
    """Features and scores that methods select by, each computed once, when it is needed."""

    def __init__(self, examples: Examples, seed: int, machine: Machine, stages: Stages) -> None:
        self._examples, self._seed, self._machine = examples, seed, machine
        self._stages = stages

    @contextmanager
    def threads(self) -> Iterator[None]:
        """Limit numpy and scikit-learn to as many threads as PyTorch uses.

        The last bits of their results depend on it, and the selected images on these bits.
        """
        from threadpoolctl import threadpool_limits  # imports much of scikit-learn

        with threadpool_limits(self._machine.threads):
            yield

    @cached_property
    def pixels(self) -> Floats:
        """Pixels, float32 (n, 784) in [0, 1]."""
        with self._stages("pixels"):
            return take_pixels(self._examples)

    @cached_property
    def components(self) -> Floats:
        """Principal components of the pixels, float32 (n, 50)."""
        pixels = self.pixels
        with self._stages("principal components"), self.threads():
            return project(pixels)

    @cached_property
    def difficulty(self) -> Difficulty:
        """Scores and features from small networks."""
        return score_difficulty(self._examples, self._seed, self._machine, self._stages)

    def score(self, name: spec.Score) -> Floats:
        """Return a score of difficulty, float32 (n,): greater is harder."""
        return self.difficulty.scores[name]

    def cost(self, settings: Coreset) -> float:
        """Return the seconds that computing the values took, now or before they were cached."""
        match settings.selector:
            case spec.Random():
                return 0.0
            case spec.Hardest() | spec.CoverageCentric():
                return self.difficulty.seconds
            case _ if settings.features == "network":
                return self.difficulty.seconds
            case _:
                stages = ("pixels", "principal components")[: 1 + (settings.features == "pca")]
                return sum(self._stages.seconds[stage] for stage in stages)

    def values(self, settings: Coreset) -> Floats:
        """Return what the method selects by: points (n, d), or scores (n,), all 0 for random."""
        match settings.selector:
            case spec.Random():
                return np.zeros(len(self._examples), dtype=np.float32)
            case spec.Hardest() | spec.CoverageCentric() as selector:
                return self.score(score_of(selector))
            case _:
                match settings.features:
                    case "pixels":
                        return self.pixels
                    case "pca":
                        return self.components
                    case "network":
                        return self.difficulty.features


def select_coreset(
    settings: Coreset, examples: Examples, seed: int, inputs: SelectionInputs, stages: Stages
) -> SelectedCoreset:
    """Select a coreset by the training images, their labels and the seed alone.

    Raises:
        PresetError: size, balance or method do not fit the data.
    """
    rng = np.random.default_rng(derive_seed(seed, "selection"))
    labels = examples.labels.cpu().numpy()
    groups = divide(labels, settings.size, settings.balance)  # fails before anything is computed
    values = inputs.values(settings)
    with stages("selection", f"{settings.size:,} by {settings.selector.kind}"), inputs.threads():
        indices = select(settings.selector, groups, values, rng)
    return _describe(indices, examples, dict(stages.seconds))


def read_coreset(path: Path, examples: Examples) -> SelectedCoreset:
    """Read a coreset that was selected before from the same images.

    Raises:
        FileError: the file is unreadable, about other images, or has invalid indices.
    """
    indices = np.sort(read_indices(path, fingerprint(examples), len(examples)))
    return _describe(indices, examples, {})


def _describe(indices: Indices, examples: Examples, seconds: dict[str, float]) -> SelectedCoreset:
    labels = examples.labels.cpu().numpy()[indices]
    counts = np.bincount(labels, minlength=CLASSES)
    return SelectedCoreset(
        indices=indices,
        class_counts=tuple(int(count) for count in counts),
        total=len(examples),
        data_sha256=fingerprint(examples),
        seconds=seconds,
    )
