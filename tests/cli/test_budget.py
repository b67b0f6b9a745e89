"""`--budget` on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def train(cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path) -> Callable:
    """Train the tiny preset on tiny data: 4,154 parameters, 13,720 MACs, 600 images."""

    def run(*options: object) -> tuple:
        common = ("--data", tiny_data, "--out", tmp_path / "runs", "--json")
        answer = cli("train", tiny_preset, *common, *options)
        return answer, json.loads(answer.out) if answer.out else None

    return run


@pytest.mark.parametrize(
    ("budget", "code"),
    [
        ("parameters<19515", 0),
        ("parameters<19514", 3),
        ("parameters<=19514", 0),
        ("macs<=376064", 0),
        ("macs<376064", 3),
        ("macs<1, accuracy>=100, epochs<1, seconds<1, data<1", 3),
        ("accuracy>=100, epochs<1, seconds<1, data<1", 0),
    ],
)
def test_a_summary_checks_what_can_be_counted(cli: Callable, budget: str, code: int) -> None:
    answer = cli("summary", "sprint", "--budget", budget, "--json")
    assert (answer.code, answer.err) == (code, "")
    summary = json.loads(answer.out)
    assert summary["passed"] is (code == 0)
    counted = {"parameters", "macs"} & {limit.partition("<")[0] for limit in budget.split(",")}
    assert {check["name"] for check in summary["checks"]} == counted
    assert summary["preset"]["reference"] is not None, "the network is the same"
    assert cli("summary", "sprint", "--budget", budget, "--no-fail").code == 0


@pytest.mark.parametrize(
    ("budget", "verdicts"),
    [
        ("flash<=32KiB, ram<=4KiB", ["inconclusive", "inconclusive"]),
        ("flash<=16KiB, ram<=1KiB", ["fail", "fail"]),
        ("parameters<20k, ram<=4096", ["pass", "inconclusive"]),
    ],
)
def test_a_summary_checks_bytes_as_far_as_it_can(
    cli: Callable, budget: str, verdicts: list[str]
) -> None:
    answer = cli("summary", "sprint", "--budget", budget, "--json")
    assert (answer.code, answer.err) == (3, ""), "what is inconclusive has not passed"
    checks = json.loads(answer.out)["checks"]
    assert [check["verdict"] for check in checks] == verdicts
    shown = cli("summary", "sprint", "--budget", budget, "--no-fail")
    assert shown.code == 0
    text = " ".join(shown.out.split())
    for check, options in zip(checks, ("", " --stream"), strict=True):
        advice = f"`mnistcli export RUN --to c{options} --target DEVICE` measures it"
        assert (advice in text) is (check["verdict"] == "inconclusive")


@pytest.mark.slow
def test_a_run_within_its_bytes_is_inconclusive_before_an_export(
    cli: Callable, train: Callable, tmp_path: Path
) -> None:
    answer, run = train("--budget", "flash<=8KiB, ram<=2KiB, accuracy>=10")
    assert answer.code == 3
    verdicts = {check["name"]: check["verdict"] for check in run["checks"]}
    assert verdicts == {
        "flash": "inconclusive", "ram": "inconclusive", "test_accuracy": "pass",
    }  # fmt: skip
    assert run["integer_sizes"]["constants"] == run["checks"][0]["value"] > 4_000
    shown = cli("runs", "show", run["path"])
    assert " INCONCLUSIVE  repeat with" in shown.out
    assert "1 run, 0 passed, 1 inconclusive" in cli("runs", "list", tmp_path / "runs").out
    assert cli("runs", "check", run["path"]).code == 0
    page = cli("report", run["path"], "--out", tmp_path / "page.html")
    assert page.code == 0
    assert "INCONCLUSIVE" in (tmp_path / "page.html").read_text()


def test_a_run_above_its_bytes_fails(train: Callable) -> None:
    answer, run = train("--budget", "flash<=4KiB, ram<=1KiB")
    assert answer.code == 3
    assert answer.err.splitlines()[2] == "the network exceeds its flash budget"
    assert [check["verdict"] for check in run["checks"]] == ["fail", "inconclusive"]


def test_all_figures_of_a_run_are_checked(train: Callable) -> None:
    budget = "parameters<4155, macs<=1M, accuracy>=10, epochs<3, seconds<600, data<=600"
    answer, run = train("--budget", budget)
    assert answer.code == 0
    names = ["parameters", "macs", "test_accuracy", "epochs", "train_seconds", "train_examples"]
    assert [check["name"] for check in run["checks"]] == names
    assert {check["verdict"] for check in run["checks"]} == {"pass"}
    assert run["checks"][-1]["value"] == 600


@pytest.mark.parametrize("budget", ["macs<5", "data<600", "data<100%", "seconds<0.000001"])
def test_a_limit_that_is_not_met_fails(train: Callable, budget: str) -> None:
    answer, run = train("--budget", budget)
    assert answer.code == 3
    assert [check["verdict"] for check in run["checks"]] == ["fail"]


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ("parameters<10", "parameter budget"),
        ("macs<10", "MACs budget"),
        ("parameters<10, macs<10, data<1", "parameter and MACs budget"),
    ],
)
def test_a_network_too_large_for_it_is_told_before_training(
    train: Callable, budget: str, words: str
) -> None:
    answer, _ = train("--budget", budget)
    assert answer.err.splitlines()[2] == f"the network exceeds its {words}"


def test_a_person_sees_the_figures_that_are_limited(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    command = ("train", tiny_preset, "--data", tiny_data, "--out", tmp_path, "--budget")
    rows = cli(*command, "macs<1M, data<=600").out.splitlines()
    assert ["MACs", "13,720", "<", "1,000,000", "PASS"] in map(str.split, rows)
    assert ["training", "images", "600", "≤", "600", "PASS"] in map(str.split, rows)
    assert sum("training images" in row for row in rows) == 1
    plain = cli(*command, "epochs<3").out
    assert "MACs" not in plain
    assert ["training", "images", "100.00", "%", "–"] in map(str.split, plain.splitlines())


@pytest.mark.parametrize(
    ("budget", "code"),
    [("data<=60", 0), ("data<60", 3), ("data<=10%", 0), ("data<10%", 3), ("macs<1", 0)],
)
def test_a_selection_is_checked(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path, budget: str, code: int
) -> None:
    common = ("coreset", tiny_preset, "--data", tiny_data, "--out", tmp_path, "-n", 60)
    answer = cli(*common, "-m", "random", "--budget", budget)
    assert answer.code == code
    assert ("training images" in answer.out) is ("data" in budget)
    assert ("FAIL" in answer.out) is (code == 3)
    answer = cli(*common, "-m", "random", "--budget", budget, "--no-fail", "--json")
    assert answer.code == 0
    verdicts = [check["verdict"] for check in json.loads(answer.out)["checks"]]
    assert verdicts == ([{0: "pass", 3: "fail"}[code]] if "data" in budget else [])


def test_held_out_images_count_as_images_there_are(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    held_out = ("--set", "train.validation_examples=300", "--budget", "data<=10%")
    common = ("coreset", tiny_preset, "--data", tiny_data, "--out", tmp_path, "-m", "random")
    assert cli(*common, "-n", 60, *held_out).code == 0
    assert cli(*common, "-n", 61, *held_out, "--set", "coreset.balance=free").code == 3


def test_a_selection_and_a_curriculum_take_it(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    common = ("--data", tiny_data, "--out", tmp_path / "runs", "--json", "--budget", "macs<5")
    paced = ("--set", "curriculum={kind='paced'}", "--set", "train.epochs=1")
    answer = cli("curriculum", tiny_preset, *common, *paced)
    assert answer.code == 3
    assert json.loads(answer.out)["checks"][0]["name"] == "macs"
    methods = ("--compare", "--methods", "random", "--sizes", 60, "--seeds", "0-1", "--jobs", 1)
    answer = cli("coreset", tiny_preset, *common, *methods)
    assert json.loads(answer.out)["preset"]["budget"]["macs_below"] == 5


@pytest.mark.parametrize("command", ["summary", "train", "coreset", "curriculum"])
def test_a_wrong_one_is_one_line(cli: Callable, tmp_path: Path, command: str) -> None:
    out = () if command == "summary" else ("--out", tmp_path / "runs")
    answer = cli(command, "sprint-curriculum", *out, "--budget", "accuracy>=0.994")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        'mnistcli: invalid --budget "accuracy>=0.994" at character 11: accuracy is in per cent. '
        "Write accuracy>=99.4 for 0.994.\n"
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("option", ["--resume", "--from"])
def test_it_cannot_change_a_run(cli: Callable, option: str) -> None:
    answer = cli("train", option, "nowhere", "--budget", "epochs<5")
    assert answer.code == 2
    assert answer.err == f"mnistcli: {option} cannot be combined with --budget\n"


def test_a_dry_run_shows_it(cli: Callable) -> None:
    answer = cli("train", "--dry-run", "--budget", "data<20%")
    budget = json.loads(answer.out)["preset"]["budget"]
    assert {name: value for name, value in budget.items() if value is not None} == {
        "train_fraction_below": 0.2
    }
