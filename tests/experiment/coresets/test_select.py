from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from mnistcli.datasets.examples import Examples
from mnistcli.datasets.load import load_examples
from mnistcli.engine.events import Event, StageStarted
from mnistcli.engine.stages import Stages
from mnistcli.errors import FileError, PresetError
from mnistcli.experiment.coresets.select import (
    SelectionInputs,
    read_coreset,
    select_coreset,
)
from mnistcli.experiment.machine import Machine
from mnistcli.preset.coreset import METHODS, Coreset

CPU = Machine(torch.device("cpu"), torch.float32, 1)


@pytest.fixture(scope="module")
def examples(tiny_data: Path) -> Examples:
    return load_examples("train", tiny_data)


def settings_of(kind: str, **others: object) -> Coreset:
    return Coreset.model_validate({"size": 100, "selector": {"kind": kind}, **others})


def started(events: list[Event]) -> list[str]:
    return [event.stage for event in events if isinstance(event, StageStarted)]


@pytest.mark.parametrize(
    ("kind", "others", "stages"),
    [
        ("random", {}, []),
        ("kmeans", {"features": "pixels"}, ["pixels"]),
        ("kmeans", {"features": "pca"}, ["pixels", "principal components"]),
    ],
)
def test_only_what_a_method_needs_is_computed_and_once(
    examples: Examples, kind: str, others: dict, stages: list[str]
) -> None:
    events: list[Event] = []
    inputs = SelectionInputs(examples, 0, CPU, Stages(events.append))
    settings = settings_of(kind, **others)
    assert len(inputs.values(settings)) == len(examples)
    inputs.values(settings)
    assert started(events) == stages
    assert (inputs.cost(settings) > 0) == bool(stages)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("features", ["pixels", "pca", "network"])
def test_very_few_images_give_every_method_what_it_needs(count: int, features: str) -> None:
    generator = torch.Generator().manual_seed(count)
    images = torch.randint(0, 256, (count, 1, 28, 28), generator=generator, dtype=torch.uint8)
    images[-1] = images[0]
    few = Examples(images, torch.tensor([7, 7, 7, 1, 7])[:count])
    stages = Stages(lambda event: None)
    inputs = SelectionInputs(few, 0, CPU, stages)
    for method in METHODS:
        clusters = {"clusters": 1} if method == "kmeans" else {}
        for size in range(1, count + 1):
            settings = Coreset.model_validate(
                {
                    "size": size, "balance": "proportional", "features": features,
                    "selector": {"kind": method, **clusters},
                }
            )  # fmt: skip
            found = select_coreset(settings, few, 0, inputs, stages)
            assert len(set(found.indices.tolist())) == size == sum(found.class_counts)


def test_the_seed_decides_the_choice(examples: Examples) -> None:
    def choose(seed: int) -> np.ndarray:
        stages = Stages(lambda event: None)
        inputs = SelectionInputs(examples, seed, CPU, stages)
        return select_coreset(settings_of("random"), examples, seed, inputs, stages).indices

    assert np.array_equal(choose(1), choose(1))
    assert not np.array_equal(choose(1), choose(2))
    assert np.all(np.diff(choose(1)) > 0)


def test_an_impossible_size_is_refused_before_anything_is_computed(examples: Examples) -> None:
    events: list[Event] = []
    stages = Stages(events.append)
    inputs = SelectionInputs(examples, 0, CPU, stages)
    with pytest.raises(PresetError, match="700 of 600"):
        select_coreset(settings_of("kmeans", size=700), examples, 0, inputs, stages)
    assert not events


def test_a_saved_choice_is_read_back_for_the_same_images_only(
    examples: Examples, tmp_path: Path
) -> None:
    stages = Stages(lambda event: None)
    inputs = SelectionInputs(examples, 0, CPU, stages)
    settings = settings_of("random")
    chosen = select_coreset(settings, examples, 0, inputs, stages)
    saved = chosen.save(tmp_path, settings)
    again = read_coreset(Path(saved.indices_file), examples)
    assert np.array_equal(again.indices, chosen.indices)
    assert saved.indices_sha256 == sha256(chosen.indices.tobytes()).hexdigest()
    assert again.class_counts == saved.class_counts == (10,) * 10
    others = Examples(255 - examples.images, examples.labels)
    with pytest.raises(FileError, match="other images"):
        read_coreset(Path(saved.indices_file), others)
