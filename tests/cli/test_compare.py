import csv
import json
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

from mnistcli.preset.loading import load_preset


@pytest.fixture(scope="module")
def folder(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Three seeds of the tiny preset, and three of it hardly trained."""
    out = tmp_path_factory.mktemp("compare") / "runs"
    for settings in ([], ["--set", "train.schedule.max_learning_rate=0.0001"]):
        answer = cli(
            "train", tiny_preset, "--data", tiny_data, "--out", out, "--quiet",
            "--seeds", "0-2", "--jobs", 1, *settings,
        )  # fmt: skip
        assert answer.code == 0, answer.err
    return out


def test_a_folder_of_runs_is_grouped_and_compared(cli: Callable, folder: Path) -> None:
    answer = cli("compare", folder, "--json")
    assert answer.code == 0
    document = json.loads(answer.out)
    assert document["schema"] == "mnistcli.comparison/2"
    assert [group["seeds"] for group in document["groups"]] == [[0, 1, 2]] * 2
    verdicts = {found["verdict"] for found in document["differences"]}
    assert verdicts <= {"improved", "worse"}
    text = cli("compare", folder).out
    assert "paired t" in text
    assert "none" not in text
    assert "Pareto" not in text


def test_several_sizes_are_plotted(cli: Callable) -> None:
    text = cli("compare", "sevenconv", "onebyone").out
    assert "Pareto" in text
    assert "13,226" in text
    assert "19,114 parameters" in text


def test_runs_can_be_named_one_by_one_and_order_makes_the_baseline(
    cli: Callable, folder: Path
) -> None:
    runs = sorted(folder.glob("tiny-*-s*[0-9]"), key=lambda path: json.loads(
        (path / "record.json").read_text())["test"]["accuracy"])  # fmt: skip
    worst, best = runs[0], runs[-1] / "record.json"
    gate = ("--fail-on", "worse", "--json")
    assert cli("compare", worst, best, *gate).code == 0
    answer = cli("compare", best, worst, *gate)
    assert answer.code == 3
    assert json.loads(answer.out)["differences"][0]["verdict"] == "worse"


def test_a_batch_stands_for_its_runs_and_no_run_counts_twice(cli: Callable, folder: Path) -> None:
    everything = json.loads(cli("compare", folder, "--json").out)
    (batch, *_) = folder.glob("*.batch.json")
    named = json.loads(batch.read_text())["runs"].values()
    found = json.loads(cli("compare", batch, "--json").out)
    assert sorted(found["groups"][0]["runs"]) == sorted(named)
    twice = json.loads(cli("compare", *folder.iterdir(), "--json").out)
    assert sorted(sorted(group["runs"]) for group in twice["groups"]) == sorted(
        sorted(group["runs"]) for group in everything["groups"]
    )


@pytest.mark.parametrize(
    "options",
    [
        ("--journal", "--fail-on", "worse"), ("--journal", "--format", "csv"),
        ("--json", "--format", "markdown"), ("--journal",), ("--format", "json"),
        ("--fail-on", "improved"),
    ],
)  # fmt: skip
def test_what_would_do_nothing_is_refused(cli: Callable, options: tuple) -> None:
    answer = cli("compare", "sprint", "onebyone", *options)
    assert answer.code == 2
    assert answer.out == ""
    assert len(answer.err.splitlines()) == 1


def test_csv_and_markdown(cli: Callable, folder: Path) -> None:
    rows = list(csv.DictReader(StringIO(cli("compare", folder, "--format", "csv").out)))
    assert len(rows) == 2
    assert rows[0]["runs"] == "3"
    lines = cli("compare", folder, "--format", "markdown").out.splitlines()
    # The preset's claim is about MNIST, and these runs are not.
    assert len(lines) == 4
    assert lines[0].startswith("| preset | runs | parameters |")
    assert len({line.count("|") for line in lines}) == 1


def test_markdown_has_every_claim_with_its_verdict(cli: Callable) -> None:
    names = ("dualblock", "journey-v2", "sevenconv", "onebyone", "optimizednet")
    groups, claims = (
        table.splitlines()
        for table in cli("compare", *names, "--format", "markdown").out.split("\n\n")
    )
    assert len(groups) == 2 + len(names)
    assert claims[0].startswith("| preset | published | claimed | measured |")
    published = [load_preset(name).published for name in names]
    assert len(claims) == 2 + sum(len(one.claims) for one in published if one)
    for lines in (groups, claims):
        assert len({line.count("|") for line in lines}) == 1
    assert (
        "| optimizednet [reference] | parameters | 22,642 | 23,266 |  | refuted | count |  |"
    ) in claims


def test_the_journal_lists_every_run(cli: Callable, folder: Path) -> None:
    document = json.loads(cli("compare", "--journal", folder, "--json").out)
    assert len(document["entries"]) == 6
    changes = [change for entry in document["entries"] for change in entry["changes"]]
    assert any("max_learning_rate" in change for change in changes)
    assert "changed since" in cli("compare", "--journal", folder).out


def test_broken_runs_are_said_and_the_others_are_shown(
    cli: Callable, folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folder, tmp_path / "runs"))
    broken = sorted(folder.iterdir())[0]
    record = broken / "record.json"
    for content in ("{", '{"schema": "mnistcli.run/3"}', ""):
        record.write_text(content)
        answer = cli("compare", folder, "--json")
        assert answer.code == 4
        assert len(answer.err.splitlines()) == 1
        assert "record.json" in answer.err
        assert sum(len(group["seeds"]) for group in json.loads(answer.out)["groups"]) == 5


@pytest.mark.parametrize(
    ("members", "code", "words"),
    [
        (["nowhere"], 2, "neither a run nor a preset"),
        (["proxy"], 2, "no [reference]"),
        (["."], 4, "is not a run"),
        ([], 2, "RUN|PRESET"),
    ],
)
def test_a_mistake_is_one_line(
    cli: Callable, tmp_path: Path, monkeypatch, members: list[str], code: int, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = cli("compare", *members)
    assert answer.code == code
    assert words in answer.err


def test_presets_stand_for_their_references(cli: Callable) -> None:
    answer = cli("compare", "sprint", "--json")
    assert answer.code == 0
    assert json.loads(answer.out)["groups"][0]["source"] == "reference"


def test_a_folder_hides_no_preset(
    cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sevenconv").mkdir()
    assert "19,114 parameters" in cli("compare", "sevenconv", "onebyone").out
    for name in ("x" * 300, "nothing"):
        answer = cli("compare", name)
        assert answer.code == 2
        assert "is neither a run nor a preset" in answer.err
