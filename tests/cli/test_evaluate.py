import csv
import json
import os
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mnistcli.datasets.embedded import EMBEDDED
from mnistcli.datasets.examples import fingerprint
from mnistcli.datasets.load import load_examples
from tests.conftest import posix_only

pytestmark = pytest.mark.usefixtures("quick_speed")


@pytest.fixture(scope="module")
def run(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict:
    out = tmp_path_factory.mktemp("run")
    answer = cli("train", tiny_preset, "--data", tiny_data, "--out", out, "--json", "-q")
    return dict(json.loads(answer.out))


def test_it_agrees_with_the_record_to_the_last_image(
    cli: Callable, run: dict, tiny_data: Path
) -> None:
    for reference in (run["path"], f"{run['path']}/record.json"):
        found = json.loads(cli("evaluate", reference, "--data", tiny_data, "--json").out)
        assert found["correct"] == run["test"]["correct"]
        assert found["loss"] == pytest.approx(run["test"]["loss"], rel=1e-5)
        assert found["matches_record"] is True


def test_confusion_and_digits_add_up(cli: Callable, run: dict, tiny_data: Path) -> None:
    found = json.loads(
        cli("evaluate", run["path"], "--data", tiny_data, "--split", "train", "--json").out
    )
    assert found["matches_record"] is None
    assert found["total"] == sum(map(sum, found["confusion"])) == 600
    assert found["correct"] == sum(row["correct"] for row in found["per_class"])
    for digit in found["per_class"]:
        assert digit["total"] == sum(found["confusion"][digit["digit"]]) == 60
        assert digit["recall"] == digit["correct"] / 60
        taken = sum(row[digit["digit"]] for row in found["confusion"])
        assert digit["precision"] == (digit["correct"] / taken if taken else None)


def test_mistakes_calibration_and_speed(cli: Callable, run: dict) -> None:
    """On the real test images, which a network of synthetic ones gets wrong."""
    found = json.loads(cli("evaluate", run["path"], "--data", EMBEDDED, "--json").out)
    assert len(found["mistakes"]) == found["total"] - found["correct"] > 1_000
    chances = [mistake["true_probability"] for mistake in found["mistakes"]]
    assert chances == sorted(chances)
    labels = load_examples("test").labels
    for mistake in found["mistakes"][:50]:
        assert mistake["digit"] == labels[mistake["index"]] != mistake["predicted"]
        assert mistake["confidence"] >= mistake["true_probability"]
    assert sum(one["total"] for one in found["calibration"]) == found["total"]
    assert 0.05 < found["calibration_error"] <= 1
    assert found["images_per_second"] > 10
    assert 0 < found["milliseconds_per_image"] < 100
    assert found["weights_bytes"] == (Path(run["path"]) / "weights.safetensors").stat().st_size
    text = cli("evaluate", run["path"], "--data", EMBEDDED).out
    assert "worst of" in text
    assert "█" in text


def test_robustness_is_measured_where_asked(cli: Callable, run: dict, tiny_data: Path) -> None:
    plain = json.loads(cli("evaluate", run["path"], "--data", tiny_data, "--json").out)
    assert plain["robustness"] == []
    asked = ("--data", tiny_data, "--robustness")
    found = json.loads(cli("evaluate", run["path"], *asked, "--json").out)["robustness"]
    assert [row["distortion"] for row in found] == ["rotation", "shift", "scale", "noise", "blur"]
    assert min(share for row in found for share in row["accuracies"]) < plain["accuracy"]
    text = cli("evaluate", run["path"], *asked).out
    assert "rotation" in text
    assert max(map(len, text.splitlines()[1:])) <= 80  # the first line has the folder's name


@pytest.mark.slow
def test_other_images_are_named_and_not_held_against_the_record(cli: Callable, run: dict) -> None:
    found = json.loads(cli("evaluate", run["path"], "--data", EMBEDDED, "--json").out)
    assert found["total"] == 10_000
    assert found["matches_record"] is None
    assert found["own_images"] is False
    lines = cli("evaluate", run["path"], "--data", EMBEDDED).out.splitlines()
    assert f" other images than {run['run_id']} was tested on" in lines
    text = cli("evaluate", run["path"], "--data", EMBEDDED, "--split", "train").out
    assert f" other images than {run['run_id']} was trained on" in text.splitlines()


@pytest.fixture
def moved(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """A run of `train --data data` on a copy of the images, seen from another folder."""
    (tmp_path / "elsewhere").mkdir()
    shutil.copytree(tiny_data, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    coreset = "coreset={size=200, selector={kind='random'}}"
    answer = cli("train", tiny_preset, "--data", "data", "--json", "-q", "--set", coreset)
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / json.loads(answer.out)["path"]


@pytest.mark.parametrize("split", ["test", "train"])
def test_a_run_is_evaluated_on_its_own_images(
    cli: Callable, moved: Path, tiny_data: Path, split: str
) -> None:
    own = json.loads(cli("evaluate", moved, "--split", split, "--json").out)
    named = cli("evaluate", moved, "--split", split, "--json", "--data", tiny_data)
    assert own["own_images"] is json.loads(named.out)["own_images"] is True
    assert own["confusion"] == json.loads(named.out)["confusion"]
    assert own["data"] == str(moved.parent.parent / "data")
    assert "other images" not in cli("evaluate", moved, "--split", split).out
    assert cli("report", moved).code == 0


@pytest.mark.parametrize("split", ["test", "train"])
@pytest.mark.parametrize("harm", ["gone", "changed"])
def test_images_that_are_gone_or_changed_are_said(
    cli: Callable, moved: Path, tiny_data: Path, split: str, harm: str
) -> None:
    data = moved.parent.parent / "data"
    if harm == "gone":
        data.rename(data.with_name("renamed"))
    else:
        labels = data / f"{'t10k' if split == 'test' else 'train'}-labels-idx1-ubyte"
        content = bytearray(labels.read_bytes())
        content[-1] = (content[-1] + 1) % 10
        labels.write_bytes(content)
    for answer in (
        cli("evaluate", moved, "--split", split), cli("evaluate", moved, moved, "--split", split),
        cli("report", moved),
    ):  # fmt: skip
        assert (answer.code, answer.out) == (4, "")
        assert answer.err.count("\n") == 1
        assert str(data) in answer.err
        assert answer.err.endswith(" Name their folder with --data.\n")
    assert cli("evaluate", moved, "--split", split, "--data", tiny_data).code == 0
    assert cli("report", moved, "--data", tiny_data).code == 0
    pictures = cli("evaluate", moved, "--images", "missing.png")
    assert "missing.png" in pictures.err, "predicting needs no data"


def test_an_ensemble_needs_the_same_images(
    cli: Callable, run: dict, moved: Path, tiny_data: Path
) -> None:
    both = (run["path"], moved)
    assert cli("evaluate", *both).code == 0, "the same images in two folders"
    labels = moved.parent.parent / "data" / "t10k-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\0")
    record = moved / "record.json"
    sha256 = fingerprint(load_examples("test", labels.parent))
    record.write_text(record.read_text().replace(run["data"]["test_sha256"], sha256))
    answer = cli("evaluate", *both)
    assert (answer.code, answer.out) == (2, "")
    assert "these runs have different test images" in answer.err
    text = cli("evaluate", *both, "--data", tiny_data).out
    assert text.count("other images than") == 1
    assert f" other images than {moved.name} was tested on" in text.splitlines()


def test_a_person_reads_every_number_of_the_matrix(
    cli: Callable, run: dict, tiny_data: Path
) -> None:
    for data in (["--data", tiny_data], []):
        found = json.loads(cli("evaluate", run["path"], *data, "--json").out)
        text = cli("evaluate", run["path"], *data).out
        assert max(map(len, text.splitlines()[1:])) <= 80
        rows = [line.split() for line in text.splitlines()]
        rows = [row for row in rows if len(row) == 13 and row[0].isdigit()]
        assert len(rows) == 10
        for row, counts in zip(rows, found["confusion"], strict=True):
            assert [int(cell.replace("·", "0")) for cell in row[1:11]] == counts
    assert "agrees with the run's record" in cli("evaluate", run["path"], "--data", tiny_data).out


@pytest.mark.parametrize(
    ("file", "content"),
    [("record.json", "{}"), ("weights.safetensors", "x"), ("record.json", None)],
)
def test_a_damaged_run_exits_4(
    cli: Callable, run: dict, tmp_path: Path, file: str, content: str | None
) -> None:
    damaged = Path(shutil.copytree(run["path"], tmp_path / "run"))
    path = damaged / file
    path.unlink() if content is None else path.write_text(content)
    answer = cli("evaluate", damaged)
    assert answer.code == 4
    assert answer.err.count("\n") == 1


@pytest.fixture(scope="module")
def runs(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("several")
    weak = ("--set", "train.epochs=1", "--set", "train.schedule.max_learning_rate=0.004")
    for seed in range(3):
        common = ("--data", tiny_data, "--out", folder, "--seed", seed)
        assert cli("train", tiny_preset, *common, *weak, "-q").code == 0
    return folder


def test_several_runs_are_evaluated_as_an_ensemble(
    cli: Callable, runs: Path, tiny_data: Path
) -> None:
    answer = cli("evaluate", runs, "--data", tiny_data, "--json")
    assert answer.code == 0
    found = json.loads(answer.out)
    assert found["schema"] == "mnistcli.evaluations/1"
    names = sorted(path.name for path in runs.iterdir())
    assert [run["run_id"] for run in found["runs"]] == names == found["ensemble"]["runs"]
    for run in found["runs"]:
        single = json.loads(
            cli("evaluate", runs / run["run_id"], "--data", tiny_data, "--json").out
        )
        for key in ("correct", "loss", "confusion", "calibration_error"):
            assert run[key] == single[key]
    together = found["ensemble"]
    assert together["correct"] == sum(together["confusion"][digit][digit] for digit in range(10))
    # Jensen: the mean of probabilities has no more loss than the networks have on average.
    assert together["loss"] < sum(run["loss"] for run in found["runs"]) / 3
    text = cli("evaluate", runs, "--data", tiny_data).out
    assert "ensemble of 3" in text
    assert max(map(len, text.splitlines()[1:])) <= 80  # the first line has the folder's name


def test_the_same_network_twice_is_that_network(cli: Callable, run: dict, tmp_path: Path) -> None:
    copy = shutil.copytree(run["path"], tmp_path / "copy")
    answer = cli("evaluate", run["path"], copy, "--json")
    found = json.loads(answer.out)
    one, both = found["runs"][0], found["ensemble"]
    assert both["confusion"] == one["confusion"]
    assert both["loss"] == pytest.approx(one["loss"], abs=1e-5)


def test_a_run_named_twice_counts_once(cli: Callable, run: dict, runs: Path) -> None:
    once = json.loads(cli("evaluate", run["path"], f"{run['path']}/record.json", "--json").out)
    assert once["schema"] == "mnistcli.evaluation/1"
    document = json.loads(cli("evaluate", runs, *runs.iterdir(), "--json").out)
    assert len(document["ensemble"]["runs"]) == len(document["runs"]) == 3


def test_a_broken_run_does_not_hide_the_others(
    cli: Callable, runs: Path, tiny_data: Path, tmp_path: Path
) -> None:
    runs = Path(shutil.copytree(runs, tmp_path / "runs"))
    first, second, third = sorted(runs.iterdir())
    (first / "record.json").write_text('{"schema": "mnistcli.run/3"}')
    (second / "weights.safetensors").unlink()
    answer = cli("evaluate", runs, "nowhere", "--data", tiny_data, "--json")
    assert answer.code == 4
    assert answer.err.count("\n") == 3
    assert [run["run_id"] for run in json.loads(answer.out)["runs"]] == [third.name]
    assert cli("evaluate", first, second).out == ""


def test_mistakes_are_drawn_in_a_file(
    cli: Callable, runs: Path, tiny_data: Path, tmp_path: Path
) -> None:
    one, *_ = runs.iterdir()
    for name, member in (("one.png", one), ("all.png", runs)):
        path = tmp_path / name
        assert cli("evaluate", member, "--data", tiny_data, "--sheet", path).code == 0
        with Image.open(path) as picture:
            assert picture.width > 800
            assert np.asarray(picture.convert("L")).std() > 10
    nowhere = tmp_path / "no" / "where.png"
    assert cli("evaluate", one, "--data", tiny_data, "--sheet", nowhere).code == 4


def test_pictures_are_for_one_run(cli: Callable, runs: Path, tmp_path: Path) -> None:
    assert cli("evaluate", runs, "--images", tmp_path / "x.png").code == 2


def test_pictures_that_a_shell_lists_are_no_runs(cli: Callable, run: dict, tmp_path: Path) -> None:
    for name in ("1.png", "2.png", "3.png"):
        picture = Image.new("L", (60, 60), 255)
        ImageDraw.Draw(picture).rectangle((28, 10, 33, 50), fill=0)
        picture.save(tmp_path / name)
    pictures = sorted(tmp_path.glob("*.png"))
    listed = cli("evaluate", run["path"], "--images", *pictures, "--json")
    assert listed.code == 0, listed.err
    found = json.loads(listed.out)["predictions"]
    assert sorted(one["file"] for one in found) == [str(path) for path in pictures]
    named = json.loads(cli("evaluate", run["path"], "--images", tmp_path, "--json").out)
    assert [one["file"] for one in named["predictions"]] == [str(path) for path in pictures]
    answer = cli("evaluate", tmp_path, run["path"], "--images", "1.png", "2.png")
    assert answer.code == 2
    assert "--images takes a single run: got 2" in answer.err
    answer = cli("evaluate", run["path"], "--images", pictures[0], "none.png", "--json")
    assert answer.code == 4
    assert 'cannot read "none.png"' in answer.err
    assert len(json.loads(answer.out)["predictions"]) == 1, "the other one is read"
    answer = cli("evaluate", run["path"], "--images", "none.png")
    assert (answer.code, answer.out) == (4, "")


def test_csv_has_the_digits_of_pictures(cli: Callable, run: dict, tmp_path: Path) -> None:
    page = Image.new("L", (200, 60), 255)
    for left in (30, 120):
        ImageDraw.Draw(page).rectangle((left, 10, left + 5, 50), fill=0)
    page.save(tmp_path / "a, b.png")
    found = json.loads(cli("evaluate", run["path"], "--images", tmp_path, "--json").out)
    answer = cli("evaluate", run["path"], "--images", tmp_path, "--csv")
    assert answer.code == 0, answer.err
    rows = list(csv.DictReader(StringIO(answer.out)))
    assert [row["position"] for row in rows] == ["1", "2"]
    assert {row["file"] for row in rows} == {str(tmp_path / "a, b.png")}
    for row, one in zip(rows, found["predictions"], strict=True):
        assert row["digit"] == ("" if one["answer"] is None else str(one["answer"]))
        assert float(row["confidence"]) == one["confidence"]
    answer = cli("evaluate", run["path"], "--images", tmp_path, "none.png", "--csv")
    assert answer.code == 4
    assert answer.out.count("\n") == 3, "the others are read"


def test_csv_is_for_pictures_and_alone_on_stdout(cli: Callable, run: dict) -> None:
    answer = cli("evaluate", run["path"], "--csv")
    assert (answer.code, answer.err) == (2, "mnistcli: --csv needs --images\n")
    answer = cli("evaluate", run["path"], "--images", "x.png", "--csv", "--json")
    assert answer.code == 2
    assert "--csv cannot be combined with --json" in answer.err


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("test", "accuracy", 0.999),
        ("test", "loss", 0.5),
        ("test", "correct", 3),
        (None, "parameters", 7),
    ],
)
def test_a_record_with_other_figures_does_not_agree(
    cli: Callable,
    tiny_preset: Path,
    tiny_data: Path,
    tmp_path: Path,
    part: str,
    name: str,
    value: float,
) -> None:
    options = ("--data", tiny_data, "--out", tmp_path, "--threads", 1, "--json", "-q")
    record = json.loads(cli("train", tiny_preset, *options).out)
    folder = Path(record["path"])
    assert json.loads(cli("evaluate", folder, "--json").out)["matches_record"] is True
    (record[part] if part else record)[name] = value
    (folder / "record.json").write_text(json.dumps(record))
    assert json.loads(cli("evaluate", folder, "--json").out)["matches_record"] is False


def test_pictures_without_a_run_are_one_line(cli: Callable, tmp_path: Path) -> None:
    answer = cli("evaluate", "--images", tmp_path / "a.png", tmp_path / "b.png")
    assert answer.code == 2
    assert "a run is missing" in answer.err


@posix_only
def test_a_folder_of_pictures_with_odd_names_answers_the_others(
    cli: Callable, run: dict, tmp_path: Path
) -> None:
    page = np.full((60, 60), 255, dtype=np.uint8)
    page[10:50, 25:35] = 0
    Image.fromarray(page).save(tmp_path / "one.png")
    os.mkfifo(tmp_path / "pipe.png")
    try:
        (tmp_path / os.fsdecode(b"zw\xf6lf.png")).write_bytes((tmp_path / "one.png").read_bytes())
    except OSError:
        pytest.skip("this file system has only UTF-8 names")
    for form in ("--json", "--csv"):
        answer = cli("evaluate", run["path"], "--images", tmp_path, form)
        assert answer.code == 4
        assert "one.png" in answer.out
        assert "Rename it." in answer.err
