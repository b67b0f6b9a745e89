"""`mnistcli search`, from its options to its folder, document and preset."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from mnistcli.experiment import data as data_module
from mnistcli.preset.loading import load_preset
from mnistcli.records.comparisons import FailedRun, RunsDocument
from mnistcli.records.store import read_record
from mnistcli.search import confirm as confirm_module

SPACE = """
title = "A few tiny networks."
[model]
layers = [
  { kind = "conv", out_channels = [2, 4, 8], kernel_size = [3, 5], stride = 2 },
  { kind = "relu" },
  [
    { kind = "max_pool" },
    "none",
    { kind = "conv", out_channels = { low = 2, high = 8 }, kernel_size = 3 },
  ],
  { kind = "global_max_pool" },
  { kind = "linear", out_features = 10 },
]
[train]
epochs = 4
batch_size = 100
optimizer = { kind = "adamw", learning_rate = { low = 0.01, high = 0.1, log = true } }
"""
BUDGET = "parameters<400, epochs<4"


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("space") / "tiny.toml"
    path.write_text(SPACE)
    return path


@pytest.fixture
def search(cli: Callable, tiny_data: Path, space: Path, tmp_path: Path) -> Callable:
    def run(*options: object, budget: str = BUDGET, as_json: bool = True) -> tuple:
        answer = cli(
            "search", "--budget", budget, "--space", space, "--data", tiny_data, "--jobs", 1,
            "--out", tmp_path / "runs", *(["--json"] if as_json else []), *options,
        )  # fmt: skip
        return answer, json.loads(answer.out) if as_json and answer.out else None

    return run


def read_lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "search.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_the_winner_is_confirmed_and_everything_is_kept(search: Callable, cli: Callable) -> None:
    answer, found = search("--trials", 9, "-q")
    assert (answer.code, answer.err) == (0, "")
    assert (found["schema"], found["verdict"], found["passed"]) == (
        "mnistcli.search/1",
        "pass",
        True,
    )
    assert found["oversized_train_seconds"] == 0
    assert found["trials"] <= 9
    rungs = [rung["epochs"] for rung in found["rungs"]]
    assert rungs == [2, 3]
    folder = Path(found["path"])
    lines = read_lines(folder)
    networks = {line["number"]: line for line in lines if line["event"] == "network"}
    assert len(networks) == found["networks"]
    for line in lines:
        if line["event"] == "trial":
            name = f"{line['network']:04}-e{rungs[line['rung']]}-s{line['turn']}"
            record = read_record(folder / "trials" / name)
            assert record.parameters == networks[line["network"]]["figures"]["parameters"] < 400
            assert record.test.loss == line["loss"]
            assert record.test.total == 100, "held-out images, not the test set"
    seeds = {line["turn"] for line in lines if line["event"] == "trial"}
    assert not seeds & set(found["confirmation"]["seeds"])
    assert len(found["confirmation"]["seeds"]) == 5

    preset = load_preset(str(folder / "winner.toml"))
    assert preset.reference
    assert preset.reference.parameters == found["winner"]["figures"]["parameters"]
    assert preset.reference.mean_test_accuracy == found["confirmation"]["mean_test_accuracy"]
    assert preset.budget.parameters_below == 400
    assert "mnistcli search --budget" in preset.source
    ElementTree.parse(folder / "front.svg")
    trials = [*folder.glob("trials/*-e3-s0")]
    for command in (("compare", *trials), ("report", found["winner"]["run"])):
        assert cli(*command).code == 0, command


@pytest.mark.slow
def test_the_table_shows_front_winner_and_verdict(search: Callable) -> None:
    answer, _ = search("--trials", 6, as_json=False)
    assert answer.code == 0
    for text in ("networks tried in", "were not trained", "fresh seeds", "PASS", "winner.toml"):
        assert text in " ".join(answer.out.split())
    assert max(map(len, answer.out.splitlines()[:-3])) <= 80
    trials = [line for line in answer.err.splitlines() if line.startswith("network ")]
    assert len(trials) <= 6
    assert "  best " in trials[-1]
    assert sum(line.startswith("run ") for line in answer.err.splitlines()) == 5


@pytest.mark.slow
def test_trials_do_not_read_the_test_set(
    search: Callable, monkeypatch: pytest.MonkeyPatch, tiny_data: Path
) -> None:
    """Every confirmation's run reads it once; trials are other processes, which fail without it."""
    found: list[str] = []
    original = data_module.load_examples

    def load(split: Any, path: Path | None) -> Any:
        found.append(split)
        return original(split, path)

    monkeypatch.setattr(data_module, "load_examples", load)
    assert search("--trials", 3, "-q")[0].code == 0
    assert found.count("test") == 5


@pytest.mark.slow
def test_a_search_without_a_pass_says_what_may_help(search: Callable) -> None:
    options = ("--trials", 9, "-q")
    answer, found = search(*options, budget="parameters<70, accuracy>=99.99, epochs<4")
    assert answer.code == 3
    assert (found["passed"], found["verdict"]) == (False, "fail")
    assert found["misses"]
    assert any("longer search" in line for line in found["advice"])
    assert search(*options, "--no-fail", budget="parameters<70, accuracy>=99.99")[0].code == 0


@pytest.mark.slow
def test_the_smallest_network_within_the_budget_wins(search: Callable) -> None:
    _, found = search(
        "--trials", 12, "--minimize", "parameters", "-q", "--no-fail", budget="accuracy>=15"
    )
    sizes = [each["figures"]["parameters"] for each in found["front"]]
    assert found["winner"]["figures"]["parameters"] in sizes
    enough = [each for each in found["front"] if each["accuracy"] > 0.3]
    assert all(
        found["winner"]["figures"]["parameters"] <= each["figures"]["parameters"] for each in enough
    )


@pytest.mark.slow
def test_a_finished_search_is_not_run_again(search: Callable, cli: Callable) -> None:
    folder = Path(search("--trials", 4, "-q")[1]["path"])
    before = (folder / "search.jsonl").read_bytes()
    answer = cli("search", "--resume", folder, "--json", "--jobs", 1)
    assert answer.code == 0
    assert (folder / "search.jsonl").read_bytes() == before
    again = cli("search", "--resume", folder / "plan.json", "--json", "-q", "--jobs", 2)
    assert json.loads(again.out) == json.loads(answer.out)


@pytest.mark.slow
def test_a_search_within_a_time_is_confirmed_once(search: Callable, cli: Callable) -> None:
    """Resumed, it confirms the same winner, although the clock says that there is time left."""
    whole = search("--within", "60s", "-q")[1]
    folder = Path(whole["path"])
    assert whole["winner"]["figures"]["parameters"] == whole["preset"]["reference"]["parameters"]
    lines = read_lines(folder)
    assert lines[-1]["event"] == "winner"
    assert sum(line["event"] == "winner" for line in lines) == 1
    (folder / "search.json").unlink()
    again = json.loads(cli("search", "--resume", folder, "--json", "-q", "--jobs", 1).out)
    assert read_lines(folder) == lines
    assert again == whole


@pytest.mark.slow
def test_a_space_of_few_networks_is_searched_wholly(
    cli: Callable, tiny_data: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small.toml"
    small.write_text(
        SPACE.replace("[2, 4, 8]", "[2, 4]").replace("[3, 5]", "3").replace(
            "{ low = 0.01, high = 0.1, log = true }", "0.01"
        ).replace('    { kind = "max_pool" },\n    "none",\n', '    "none",\n').replace(
            "{ low = 2, high = 8 }", "4"
        )
    )  # fmt: skip
    answer = cli(
        "search", "--budget", BUDGET, "--space", small, "--data", tiny_data, "--jobs", 1,
        "--out", tmp_path / "runs", "--trials", 30, "--json", "-q",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["networks"] == 4


@pytest.mark.slow
def test_where_all_networks_were_tried_a_longer_search_does_not_help(
    cli: Callable, tiny_data: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small.toml"
    alternatives = SPACE[SPACE.index("  [\n") : SPACE.index('  { kind = "global_max')]
    small.write_text(
        SPACE.replace(alternatives, "").replace("[3, 5]", "3").replace(
            "{ low = 0.01, high = 0.1, log = true }", "0.01"
        )
    )  # fmt: skip
    answer = cli(
        "search", "--budget", "accuracy>=99.99, epochs<4", "--space", small, "--data", tiny_data,
        "--jobs", 1, "--out", tmp_path / "runs", "--trials", 30, "--json", "-q",
    )  # fmt: skip
    assert answer.code == 3, answer.err
    found = json.loads(answer.out)
    assert found["networks"] == 3
    assert any("all of them were tried" in line for line in found["advice"])
    assert not any("longer search" in line for line in found["advice"])


def test_data_without_test_images_is_refused_before_any_training(
    search: Callable, tiny_data: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    for path in data.glob("t10k*"):
        path.unlink()
    answer, _ = search("--trials", 3, "-q", "--data", data)
    assert (answer.code, answer.err.count("\n")) == (4, 1)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("code", "exit_code"), [(5, 5), (4, 4)])
def test_runs_of_the_confirmation_that_fail_are_told(
    search: Callable, monkeypatch: pytest.MonkeyPatch, code: int, exit_code: int
) -> None:
    """One that diverges is part of the verdict; a full disk ends the search."""
    real = confirm_module.run_batch

    def spoil(*given: Any) -> RunsDocument:
        found = real(*given)
        failed = FailedRun(seed=500, exit_code=code, reason="it went wrong", path="x")
        return found.model_copy(update={"failed": (failed,), "passed": False})

    monkeypatch.setattr(confirm_module, "run_batch", spoil)
    answer, found = search("--trials", 1, "-q")
    assert answer.code == exit_code
    assert "it went wrong" in answer.err
    if code == 5:
        assert found["verdict"] == "fail"
        assert [each["seed"] for each in found["failed"]] == [500]
    else:
        assert found is None
        assert "resume with: mnistcli search --resume" in answer.err


@pytest.mark.slow
def test_a_space_in_which_nothing_trains_ends_after_the_first_round(
    search: Callable, cli: Callable, space: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """Its coreset is of all training images, but trials hold some of them out."""
    text = space.read_text() + "[coreset]\nsize = 600\nbalance = 'free'\n"
    (tmp_path / "whole.toml").write_text(text)
    answer, _ = search("--trials", 90, "-q", "--space", tmp_path / "whole.toml")
    assert answer.code == 2, answer.err
    assert "no network could be trained: " in answer.err
    [folder] = (tmp_path / "runs").iterdir()
    assert len([line for line in read_lines(folder) if "rung" in line]) == 8


@pytest.mark.slow
def test_a_torn_log_is_resumed_to_the_same_winner(search: Callable, cli: Callable) -> None:
    whole = search("--trials", 9, "-q")[1]
    folder = Path(whole["path"])
    lines = (folder / "search.jsonl").read_bytes().splitlines(keepends=True)
    for kept in (0, 2, len(lines) // 2, len(lines) - 1):
        (folder / "search.jsonl").write_bytes(b"".join(lines[:kept]) + lines[kept][:20])
        answer = cli("search", "--resume", folder, "--json", "-q", "--jobs", 1)
        found = json.loads(answer.out)
        assert found["winner"]["number"] == whole["winner"]["number"]
        assert found["winner"]["loss"] == whole["winner"]["loss"]
        assert found["confirmation"] == whole["confirmation"]


@pytest.mark.parametrize(
    ("options", "budget", "said"),
    [
        (("--within", "5m", "--trials", 3), BUDGET, "--within cannot be combined with --trials"),
        (("--within", "5"), BUDGET, "invalid --within"),
        (("--trials", 3), "parameters<20", "no new network of the space"),
        (("--seed", 2**60), BUDGET, "--seed can be at most"),
        (("--dry-run",), BUDGET, "--dry-run cannot be combined with --json"),
        (("--minimize", "macs"), BUDGET, "--minimize needs a limit of the accuracy"),
        (("--trials", 3), "parameter<20", 'unknown figure "parameter"'),
        (("--space", "missing.toml"), BUDGET, "missing.toml"),
    ],
)
def test_bad_requests_are_one_line(
    search: Callable, options: tuple, budget: str, said: str
) -> None:
    answer, _ = search(*options, "-q", budget=budget)
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert said in answer.err


def test_what_is_no_search_is_one_line(cli: Callable, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "plan.json"):
        answer = cli("search", "--resume", place)
        assert answer.code == 4
        assert answer.err.count("\n") == 1
    (tmp_path / "plan.json").write_text("{}")
    assert cli("search", "--resume", tmp_path).code == 4
    assert cli("search").code == 2


@pytest.mark.slow
def test_a_damaged_log_is_one_line(search: Callable, cli: Callable) -> None:
    folder = Path(search("--trials", 3, "-q")[1]["path"])
    text = (folder / "search.jsonl").read_text()
    (folder / "search.jsonl").write_text(text.replace('"network"', '"work"', 1))
    answer = cli("search", "--resume", folder, "-q")
    assert answer.code == 4
    assert 'search.jsonl", line 1: ' in answer.err


@pytest.mark.slow
def test_a_search_is_not_resumed_on_other_images(
    search: Callable, cli: Callable, tiny_data: Path, tmp_path: Path
) -> None:
    folder = Path(search("--trials", 3, "-q")[1]["path"])
    (folder / "search.json").unlink()
    other = Path(shutil.copytree(tiny_data, tmp_path / "other"))
    labels = next(other.glob("train-labels*"))
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x03")
    answer = cli("search", "--resume", folder, "--data", other, "-q")
    assert answer.code == 4
    assert "was begun with other training images" in answer.err
    assert answer.err.count("\n") == 1
    assert cli("search", "--resume", folder, "--data", tiny_data, "-q").code == 0


@pytest.mark.slow
def test_a_finished_search_leaves_an_edited_winner(search: Callable, cli: Callable) -> None:
    _, found = search("--trials", 2, "--no-fail", "-q")
    again = ("search", "--resume", found["path"], "--json", "--no-fail", "-q", "--jobs", 1)
    winner = Path(found["path"]) / "winner.toml"
    text = winner.read_text()
    winner.write_text(f"# mine\n{text}")
    assert json.loads(cli(*again).out)["winner"] == found["winner"]
    assert winner.read_text() == f"# mine\n{text}"
    winner.unlink()
    assert cli(*again).code == 0
    assert winner.read_text() == text
