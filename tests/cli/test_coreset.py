import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistcli.preset.coreset import METHODS


@pytest.fixture
def choose(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path, monkeypatch
) -> Callable:
    """Chooses from the tiny data; the answer and its JSON."""
    monkeypatch.setenv("MNISTCLI_CACHE", str(tmp_path / "cache"))

    def run(*options: object) -> tuple:
        answer = cli(
            "coreset", tiny_preset, "--data", tiny_data, "--out", tmp_path / "runs", "--json",
            *options,
        )  # fmt: skip
        return answer, json.loads(answer.out) if answer.out else None

    return run


@pytest.mark.parametrize("method", METHODS)
def test_every_method_chooses_equally_and_the_same_for_the_same_seed(
    choose: Callable, method: str
) -> None:
    answer, one = choose("--method", method.replace("_", "-"), "--size", 100, "--seed", 3)
    assert answer.code == 0
    assert (one["method"], one["size"], one["total"]) == (method, 100, 600)
    assert one["class_counts"] == [10] * 10
    indices = np.load(one["indices_file"])["indices"]
    assert len(set(indices.tolist())) == 100
    assert 0 <= indices.min() <= indices.max() < 600
    assert Path(one["indices_file"]).with_name("coreset.json").is_file()
    other = choose("--method", method, "--size", 100, "--seed", 3)[1]
    assert other["indices_sha256"] == one["indices_sha256"]
    assert one["coverage"]["mean"] <= one["coverage"]["max"]
    assert f"selection: 100 by {method}  " in answer.err


@pytest.mark.parametrize("features", ["pixels", "pca", "network"])
def test_distances_can_be_measured_in_three_spaces(choose: Callable, features: str) -> None:
    answer, printed = choose(
        "-m", "k-center", "-n", 50, "--set", f"coreset.features={features}",
        "--set", "coreset.balance=free",
    )  # fmt: skip
    assert answer.code == 0
    assert sum(printed["class_counts"]) == 50
    assert printed["settings"]["features"] == features


def test_the_second_time_scores_come_from_the_cache(choose: Callable, tmp_path: Path) -> None:
    first = choose("-m", "el2n", "-n", 50)[0].err
    second = choose("-m", "margin", "-n", 50)[0].err
    assert "proxy 3 of 3" in first
    assert "proxy" not in second
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert "proxy" in choose("-m", "el2n", "-n", 50, "--seed", 1)[0].err


def test_a_person_reads_counts_coverage_and_times(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    answer = cli("coreset", tiny_preset, "--data", tiny_data, "--out", tmp_path, "-n", 100)
    assert answer.code == 0
    assert "tiny · random · 100 of 600 images (16.7 %)" in answer.out
    assert "random selection: mean " in answer.out
    assert all(len(line) <= 80 for line in answer.out.splitlines()[:-1])


@pytest.mark.slow
def test_a_contact_sheet_is_a_picture(choose: Callable, tmp_path: Path, tiny_data: Path) -> None:
    answer, _ = choose("-n", 100, "--sheet", tmp_path / "sheet.png")
    assert answer.code == 0
    with Image.open(tmp_path / "sheet.png", formats=["PNG"]) as picture:
        assert picture.width > 600
        assert picture.height > 600
        assert len(picture.convert("L").getcolors()) > 20
    assert choose("-n", 100, "--sheet", tmp_path / "no" / "x.png")[0].code == 4


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["-n", 0], 2, "coreset.size"),
        (["-n", 610], 2, "610 of 600 training images"),
        (["-n", 99], 2, "cannot be divided equally"),
        (["-m", "k-centre", "-n", 100], 2, 'Did you mean "k_center"'),
        (["-m", "kmeans"], 2, "coreset.size"),
        ([], 2, "no [coreset]"),
        (["-n", 20, "--set", "coreset.selector={kind='kmeans', clusters=90}"], 2, "90 clusters"),
        (["-n", 100, "--set", "coreset.colour=1"], 2, "coreset.colour"),
        (["-n", 100, "--compare", "--seeds", "4-2"], 2, "--seeds"),
        (["-n", 100, "--compare", "--seeds", "x"], 2, "--seeds"),
        (["-n", 100, "--compare", "--seeds", "0-99999"], 2, "--seeds"),
        (["-n", 100, "--compare", "--sizes", "1.5"], 2, "--sizes"),
        (["-n", 100, "--compare", "--sizes", "700"], 2, "700 of 600"),
        (["-n", 100, "--compare", "--methods", "random,nope"], 2, "nope"),
        (["-n", 100, "--compare", "--jobs", "0"], 2, "--jobs"),
        (["-n", 100, "--sizes", "50"], 2, "need --compare"),
    ],
)
def test_a_mistake_is_one_line(choose: Callable, options: list, code: int, words: str) -> None:
    answer, _ = choose(*options)
    assert answer.code == code, answer.err
    assert words in answer.err.splitlines()[-1]
    assert answer.out == ""


def compare(choose: Callable, *options: object) -> dict:
    answer, printed = choose(
        "--compare", "--sizes", "100,50", "--seeds", "0-2", "--methods", "kmeans,el2n", *options
    )
    assert answer.code == 0, answer.err
    assert "run 21/21" in answer.err
    return printed


@pytest.mark.slow
def test_a_comparison_is_paired_by_seed_and_of_equal_steps(choose: Callable) -> None:
    one = compare(choose, "--jobs", 1, "--threads", 1)
    assert one["steps"] == 2 * 10  # two epochs of 600 images in batches of 64
    assert one["evaluated_on"] == "test"
    assert one["seeds"] == [0, 1, 2]
    rows = {(row["method"], row["size"]): row for row in one["results"]}
    assert len(rows) == 6
    for (method, size), row in rows.items():
        assert len(row["accuracies"]) == 3
        assert (row["difference"] is None) == (method == "random")
        if difference := row["difference"]:
            baseline = rows["random", size]["accuracies"]
            pairs = zip(row["accuracies"], baseline, strict=True)
            assert difference["mean"] == pytest.approx(sum(a - b for a, b in pairs) / 3)
            assert difference["p_value"] <= difference["adjusted_p_value"]
    assert one["everything"]["size"] == 600
    folder = Path(one["path"])
    assert json.loads((folder / "comparison.json").read_text()) == one
    with Image.open(folder / "accuracy.png", formats=["PNG"]) as picture:
        assert picture.width > 600


@pytest.mark.slow
def test_several_processes_find_what_one_finds(choose: Callable) -> None:
    def accuracies(printed: dict) -> list:
        return [row["accuracies"] for row in printed["results"]]

    one = compare(choose, "--jobs", 1, "--threads", 1)
    assert accuracies(compare(choose, "--jobs", 2, "--threads", 1)) == accuracies(one)


@pytest.mark.slow
def test_a_comparison_on_held_out_images_does_not_read_the_test_set(
    choose: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_out = ("--set", "train.validation_examples=200", "--jobs", 1)
    printed = compare(choose, *held_out)
    assert printed["evaluated_on"] == "validation"
    assert printed["total"] == 400
    accuracy = printed["results"][0]["accuracies"][0]
    assert accuracy * 200 == pytest.approx(round(accuracy * 200))


def test_a_person_reads_a_table_a_size(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    answer = cli(
        "coreset", tiny_preset, "--data", tiny_data, "--out", tmp_path, "--compare",
        "--methods", "kmeans", "--sizes", "100", "--seeds", "0,1", "--jobs", 1,
    )  # fmt: skip
    assert answer.code == 0
    assert "20 steps per run · 2 seeds · test accuracy" in answer.out
    assert "100 images (16.7 %)" in answer.out
    assert all(len(line) <= 80 for line in answer.out.splitlines()[:-1])


@pytest.fixture
def train(cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path) -> Callable:
    def run(*options: object) -> tuple:
        answer = cli(
            "train", tiny_preset, "--data", tiny_data, "--out", tmp_path / "runs", "--json",
            *options,
        )  # fmt: skip
        return answer, json.loads(answer.out) if answer.out else None

    return run


def test_training_on_a_coreset_sees_it_and_nothing_else(train: Callable, choose: Callable) -> None:
    settings = ("--set", "coreset.size=100", "--set", "coreset.selector={kind='herding'}")
    answer, record = train(*settings, "--set", "budget.max_train_fraction=0.2")
    assert answer.code == 0
    assert (record["train_examples"], record["coreset"]["size"]) == (100, 100)
    assert record["train_fraction"] == pytest.approx(1 / 6)
    assert [epoch["images"] for epoch in record["epochs"]] == [100, 100]
    assert record["checks"][-1]["verdict"] == "pass"
    chosen = choose("--size", 100, "--method", "herding")[1]
    assert chosen["indices_sha256"] == record["coreset"]["indices_sha256"]


def test_saved_indices_train_the_same_network(train: Callable, choose: Callable) -> None:
    chosen = choose("--size", 100, "--method", "kmeans")[1]
    saved = train("--coreset", chosen["indices_file"])[1]
    assert saved["coreset"]["settings"] is None
    assert saved["coreset"]["indices_sha256"] == chosen["indices_sha256"]
    asked = train("--set", "coreset.size=100", "--set", "coreset.selector={kind='kmeans'}")[1]
    assert asked["weights_sha256"] == saved["weights_sha256"]


def test_indices_of_other_images_are_refused(
    train: Callable, choose: Callable, tmp_path: Path
) -> None:
    chosen = choose("--size", 100)[1]
    answer, _ = train("--coreset", chosen["indices_file"], "--set", "train.validation_examples=100")
    assert answer.code == 4
    assert "other images" in answer.err
    assert train("--coreset", tmp_path / "none.npz")[0].code == 4
    assert not list(tmp_path.glob("runs/tiny-2*"))


@pytest.fixture
def _no_components(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(pixels: np.ndarray) -> None:
        raise AssertionError("principal components were computed")

    monkeypatch.setattr("mnistcli.experiment.coresets.select.project", fail)


@pytest.mark.usefixtures("_no_components")
@pytest.mark.parametrize("method", ["random", "el2n", "entropy", "ccs"])
def test_a_training_computes_no_components_that_its_method_does_not_use(
    train: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setenv("MNISTCLI_CACHE", str(tmp_path / "cache"))
    selector = f"coreset.selector={{kind='{method}'}}"
    answer, record = train("--set", "coreset.size=100", "--set", selector)
    assert answer.code == 0, answer.err
    assert "principal components" not in record["coreset"]["seconds"]


@pytest.mark.slow
@pytest.mark.usefixtures("_no_components")
def test_comparing_scores_computes_no_components(choose: Callable) -> None:
    answer, printed = choose(
        "--compare", "--sizes", "100", "--seeds", "0-1", "--methods", "el2n,margin", "--jobs", 1
    )
    assert answer.code == 0, answer.err
    assert {row["method"] for row in printed["results"]} == {"random", "el2n", "margin"}


@pytest.mark.parametrize("sizes", ["0", "600,0", "999999999"])
def test_sizes_out_of_range_are_one_line(cli: Callable, sizes: str) -> None:
    answer = cli("coreset", "sprint", "--compare", "--sizes", sizes)
    assert answer.code == 2
    assert answer.err.startswith("mnistcli: --sizes needs numbers from 1 to 1,000,000: got ")
    assert answer.err.count("\n") == 1


def test_phases_have_no_coresets_to_compare(choose: Callable) -> None:
    answer, _ = choose("--compare", "--set", "curriculum={kind='paced'}")
    assert answer.code == 2
    assert "Set curriculum=none." in answer.err
