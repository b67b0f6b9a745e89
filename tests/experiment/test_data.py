from pathlib import Path

import pytest
import torch

from mnistcli.datasets.cached import EMBEDDED_NAME
from mnistcli.datasets.examples import fingerprint
from mnistcli.datasets.load import load_examples
from mnistcli.errors import FileError, PresetError
from mnistcli.experiment.data import Data, load_data, split_off
from mnistcli.experiment.machine import Options, choose_machine
from mnistcli.preset.loading import load_preset


def load(preset: Path, data: Path | None, *overrides: str, seed: int = 0) -> Data:
    options = Options(seed=seed, threads=1, data=data)
    return load_data(load_preset(str(preset), overrides), options, choose_machine(options))


def test_everything_is_trained_on_unless_some_is_held_out(
    tiny_preset: Path, tiny_data: Path
) -> None:
    data = load(tiny_preset, tiny_data)
    whole = load_examples("train", tiny_data)
    assert data.validation is None
    assert fingerprint(data.train) == fingerprint(whole) == data.source.train_sha256
    assert fingerprint(data.test) == data.source.test_sha256
    assert data.source.source == str(tiny_data)


def test_held_out_images_are_balanced_and_not_trained_on(
    tiny_preset: Path, tiny_data: Path
) -> None:
    data = load(tiny_preset, tiny_data, "train.validation_examples=100")
    assert data.validation is not None
    assert (len(data.train), len(data.validation)) == (500, 100)
    assert torch.bincount(data.validation.labels).tolist() == [10] * 10
    images = torch.cat([data.train.images, data.validation.images]).flatten(1)
    whole = load_examples("train", tiny_data).images.flatten(1)
    assert torch.equal(torch.unique(images, dim=0), torch.unique(whole, dim=0))
    other = load(tiny_preset, tiny_data, "train.validation_examples=100", seed=1)
    assert fingerprint(other.train) != fingerprint(data.train)
    # What a run is compared by is the data itself, not what is left of it.
    assert other.source == data.source == load(tiny_preset, tiny_data).source


def test_label_noise_reaches_training_images_only(tiny_preset: Path, tiny_data: Path) -> None:
    held_out = "train.validation_examples=100"
    clean = load(tiny_preset, tiny_data, held_out)
    noisy = load(tiny_preset, tiny_data, held_out, "data.label_noise=0.2")
    assert torch.equal(noisy.train.images, clean.train.images)
    assert int((noisy.train.labels != clean.train.labels).sum()) == 100
    assert clean.validation is not None
    assert noisy.validation is not None
    assert torch.equal(noisy.validation.labels, clean.validation.labels)
    assert torch.equal(noisy.test.labels, clean.test.labels)


def test_some_images_must_be_left_to_train_on(tiny_preset: Path, tiny_data: Path) -> None:
    with pytest.raises(PresetError, match=r"train\.validation_examples: .* 600 training images"):
        load(tiny_preset, tiny_data, "train.validation_examples=600")


def test_without_a_folder_the_embedded_images_are_read(tiny_preset: Path) -> None:
    data = load(tiny_preset, None)
    assert (len(data.train), len(data.test)) == (60_000, 10_000)
    assert (data.source.source, data.source.folder) == (EMBEDDED_NAME, None)


def test_a_study_holds_out_the_same_images_whatever_its_arms_and_seeds(
    tiny_preset: Path, tiny_data: Path
) -> None:
    def load_held_out(*overrides: str, seed: int = 0) -> Data:
        options = Options(seed=seed, threads=1, data=tiny_data, hold_out=True)
        return load_data(load_preset(str(tiny_preset), overrides), options, choose_machine(options))

    base = load_held_out()
    assert (len(base.train), len(base.test)) == (500, 100), "a sixth"
    images = torch.cat([base.train.images, base.test.images]).flatten(1)
    whole = load_examples("train", tiny_data).images.flatten(1)
    assert torch.equal(torch.unique(images, dim=0), torch.unique(whole, dim=0))
    noisy = load_held_out("train.validation_examples=50", "data.label_noise=0.5")
    assert noisy.source == base.source
    assert fingerprint(noisy.test) == fingerprint(base.test), "with their true labels"
    assert noisy.validation is not None
    own = torch.cat([noisy.validation.images, noisy.train.images]).flatten(1)
    assert torch.equal(torch.unique(own, dim=0), torch.unique(base.train.images.flatten(1), dim=0))
    assert fingerprint(load_held_out(seed=1).test) == fingerprint(base.test)


def test_a_study_takes_at_most_ten_thousand_images(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load_examples("train")
    rest, held_out = split_off(whole)
    assert (len(rest), len(held_out)) == (50_000, 10_000)
    monkeypatch.setattr("mnistcli.experiment.data.MAX_HELD_OUT", 100)
    assert len(split_off(whole)[1]) == 100
    with pytest.raises(FileError, match="too few training images to hold any out: 5"):
        split_off(whole.take(torch.arange(5)))
