import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mnistcli.datasets.examples import Examples
from mnistcli.datasets.load import load_examples
from mnistcli.experiment.answers import draw_sample, measure_limits
from mnistcli.experiment.load_run import LoadedRun, load_run
from mnistcli.experiment.machine import Options
from mnistcli.experiment.predictions import predict_pictures, rate_pictures
from mnistcli.records.store import read_record
from tests.conftest import write_idx
from tests.datasets.oddities import make_noise

OPTIONS = Options(threads=1)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    page = np.full((200, 200), 255, dtype=np.uint8)
    page[50:150, 60:90] = 0
    Image.fromarray(page).save(tmp_path / "one.png")
    return tmp_path / "one.png"


def figures_of(limits: dict) -> list[float]:
    return [limits["min_confidence"], limits["min_similarity"]]


def count_answers(run: LoadedRun, images: torch.Tensor) -> int:
    result = run.evaluate(Examples(images, torch.zeros(len(images), dtype=torch.int64)))
    rating = rate_pictures(run, images, result)
    confidences = result.probabilities.amax(dim=1).tolist()
    return sum(map(rating.limits.are_met, confidences, rating.similarities))


def test_pictures_are_read_in_their_order(finished_run: Path, tmp_path: Path) -> None:
    paths = []
    for number, width in enumerate((30, 90)):
        page = np.full((200, 200), 255, dtype=np.uint8)
        page[50:150, 60 : 60 + width] = 0
        Image.fromarray(page).save(path := tmp_path / f"{number}.png")
        paths.append(path)
    found = predict_pictures(finished_run, paths, Options(threads=1))
    assert [Path(one.file) for one in found.document.predictions] == paths
    for one in found.document.predictions:
        assert one.confidence == one.probabilities[one.predicted] == max(one.probabilities)
    assert found.images[0].sum() < found.images[1].sum()


def test_digits_are_answered_and_noise_is_not(finished_run: Path, tiny_data: Path) -> None:
    run = load_run(finished_run, OPTIONS)
    digits = load_examples("test", tiny_data).images
    assert count_answers(run, digits) >= 0.97 * len(digits)
    assert count_answers(run, torch.from_numpy(np.stack(make_noise(100)))[:, None]) <= 5


def test_an_older_record_has_its_limits_measured(
    finished_run: Path, picture: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(finished_run, tmp_path / "older"))
    document = json.loads((folder / "record.json").read_text())
    limits = document.pop("answer_limits")
    assert limits["images"] == 200
    assert limits["measured_on"] == "turned training images"
    (folder / "record.json").write_text(json.dumps(document))
    own, older = (predict_pictures(each, [picture], OPTIONS) for each in (finished_run, folder))
    assert own.document.answer_limits == read_record(finished_run).answer_limits
    assert older.document.answer_limits is not None
    assert figures_of(older.document.answer_limits.model_dump()) == pytest.approx(
        figures_of(limits), rel=1e-4
    )
    assert older.document.predictions[0].answer == own.document.predictions[0].answer
    assert not older.document.warnings


def test_without_the_training_images_every_picture_is_answered(
    cli: Callable, finished_run: Path, picture: Path, tmp_path: Path
) -> None:
    """Also where --data names other images."""
    other = tmp_path / "other"
    other.mkdir()
    for prefix in ("train", "t10k"):
        write_idx(other / f"{prefix}-images-idx3-ubyte", np.zeros((20, 28, 28), dtype=np.uint8))
        write_idx(other / f"{prefix}-labels-idx1-ubyte", np.arange(20, dtype=np.uint8) % 10)
    for data in (other, tmp_path / "nothing"):
        answer = cli("evaluate", finished_run, "--images", picture, "--data", data, "--json")
        assert answer.code == 0, answer.err
        assert answer.err.startswith("mnistcli: warning: every picture is answered, whatever it")
        assert str(data) in answer.err
        assert answer.err.count("\n") == 1
        found = json.loads(answer.out)
        assert found["answer_limits"] is None
        assert found["predictions"][0]["answer"] == found["predictions"][0]["predicted"]
        assert found["predictions"][0]["similarity"] is None


def test_limits_are_measured_on_held_out_images_if_there_are_any(
    cli: Callable, tiny_data: Path, tiny_preset: Path, picture: Path, tmp_path: Path
) -> None:
    held_out = ("--set", "train.validation_examples=120", "--out", tmp_path / "runs")
    run = json.loads(cli("train", tiny_preset, "--data", tiny_data, "--json", "-q", *held_out).out)
    limits = run["answer_limits"]
    assert (limits["measured_on"], limits["images"]) == ("held-out images", 120)
    path = Path(run["path"]) / "record.json"
    path.write_text(json.dumps(run | {"answer_limits": None}))
    again = predict_pictures(path.parent, [picture], OPTIONS).document.answer_limits
    assert again is not None
    assert figures_of(again.model_dump()) == pytest.approx(figures_of(limits), rel=1e-4)


def test_limits_are_measured_on_other_images_than_the_references() -> None:
    images = torch.arange(250, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 28, 28)
    training = Examples(images, torch.zeros(250, dtype=torch.int64))
    sample = draw_sample(training, None, 0)
    known = set(sample.references.images[:, 0, 14, 14].tolist())
    others = set(sample.measured.images[:, 0, 14, 14].tolist())
    assert (len(known), len(others)) == (166, 84)
    assert not known & others
    assert measure_limits(sample, lambda examples: pytest.fail("too few images")) is None


def test_a_network_that_fails_here_alone_keeps_its_training(
    cli: Callable, tiny_data: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """600 images are 400 references and 200 others."""
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n"
        "    def __init__(self):\n        super().__init__(nn.Flatten(), nn.Linear(784, 10))\n\n"
        "    def forward(self, images):\n        assert len(images) != 400, 'here'\n"
        "        return super().forward(images)\n"
    )
    trained = cli("train", "net.py", "--data", tiny_data, "--json", "-q", "--no-fail")
    assert trained.code == 0, trained.err
    run = json.loads(trained.out)
    assert run["answer_limits"] is None
    answer = cli("evaluate", run["path"], "--images", picture)
    assert answer.code == 0, answer.err
    assert "every picture is answered" in answer.err
    assert "AssertionError: here" in answer.err


def test_limits_are_measured_on_all_digits_where_data_is_sorted(tiny_data: Path) -> None:
    training = load_examples("train", tiny_data)
    order = torch.argsort(training.labels, stable=True).repeat_interleave(20)
    sample = draw_sample(training, training.take(order), 0)
    assert set(sample.measured.labels.tolist()) == set(range(10))
