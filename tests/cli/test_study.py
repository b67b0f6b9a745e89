"""`mnistcli study`, from its options to its table, document and plot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from mnistcli.engine.loop import train as real_train
from mnistcli.errors import DivergedError, Divergence
from mnistcli.experiment import data as data_module
from mnistcli.experiment.training import run as single_run

SLOW = ("--arm", "slow: train.schedule={kind='constant'} train.optimizer.learning_rate=1e-5")
HALF = ("--arm", "half: coreset={size=200, selector={kind='random'}}")


@pytest.fixture
def study(cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path) -> Callable:
    def run(*options: object, as_json: bool = True) -> tuple:
        answer = cli(
            "study", tiny_preset, "--data", tiny_data, "--out", tmp_path / "runs", "--jobs", 1,
            "--set", "train.epochs=1", *(["--json"] if as_json else []), *options,
        )  # fmt: skip
        return answer, json.loads(answer.out) if as_json and answer.out else None

    return run


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The splits that were read."""
    found: list[str] = []
    original = data_module.load_examples

    def load(split: Any, path: Path | None) -> Any:
        found.append(split)
        return original(split, path)

    monkeypatch.setattr(data_module, "load_examples", load)
    return found


def test_arms_are_paired_on_held_out_images(
    study: Callable, reads: list[str], tmp_path: Path
) -> None:
    plot = tmp_path / "plot.svg"
    answer, found = study(*SLOW, "--seeds", "0-2", "--plot", plot)
    assert answer.code == 0, answer.err
    assert found["schema"] == "mnistcli.study/1"
    assert (found["evaluated_on"], found["evaluated_images"]) == ("held-out", 100)
    assert found["test_set_reads"] == 0
    assert set(reads) == {"train"}, "the test set is not even read"
    base, slow = found["base"], found["arms"][0]
    assert [arm["name"] for arm in found["arms"]] == ["slow"]
    assert (base["name"], base["verdict"], base["difference"]) == ("base", None, None)
    assert base["seconds_ratio"] == 1
    assert slow["overrides"] == [
        "train.schedule={kind='constant'}", "train.optimizer.learning_rate=1e-5",
    ]  # fmt: skip
    assert slow["verdict"] == "hurts"
    gaps = [one - other for one, other in zip(slow["accuracies"], base["accuracies"], strict=True)]
    assert slow["difference"]["mean"] == pytest.approx(sum(gaps) / 3)
    assert slow["difference"]["adjusted_p_value"] >= slow["difference"]["p_value"]
    assert slow["parameters"] == base["parameters"] == 4_154
    folder = Path(found["path"])
    assert json.loads((folder / "comparison.json").read_text()) == found
    assert {path.name for path in folder.iterdir()} == {"plan.json", "trials", "comparison.json"}
    trials = [json.loads(path.read_text()) for path in (folder / "trials").iterdir()]
    assert len(trials) == 6
    assert len({tuple(trial["result"]["data_sha256"]) for trial in trials}) == 1
    words = "".join(ElementTree.parse(plot).getroot().itertext())
    assert "slow" in words
    assert "tiny, held-out accuracy" in words


def test_a_person_reads_a_table_and_how_it_was_measured(
    study: Callable, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated: list[int] = []

    def evaluate(model: Any, examples: Any, *rest: Any) -> Any:
        evaluated.append(len(examples))
        return original(model, examples, *rest)

    original = single_run.evaluate
    monkeypatch.setattr(single_run, "evaluate", evaluate)
    answer, _ = study(*SLOW, "--seeds", "0,3", "--test", as_json=False)
    assert answer.code == 0, answer.err
    assert "test" in reads
    assert evaluated == [200] * 4
    assert all(len(line) <= 80 for line in answer.out.splitlines()[:-1])
    assert "tiny · 1 arm · 2 seeds · test accuracy" in answer.out
    assert "200 test images; the test set was read 4 times, once a trial" in answer.out
    assert "run 4/4  slow, seed 3: " in answer.err


@pytest.mark.slow
def test_a_study_is_resumed_to_the_same_figures(study: Callable, cli: Callable) -> None:
    whole = study(*SLOW, *HALF, "--seeds", "0-1", "-q")[1]
    folder = Path(whole["path"])
    kept = {path: path.stat().st_mtime_ns for path in (folder / "trials").iterdir()}
    lost = ["0-s1.json", "2-s0.json"]
    for name in lost:
        (folder / "trials" / name).unlink()
    (folder / "comparison.json").unlink()
    (folder / "trials" / ".1-s0.json.999").write_text("half a tri")
    answer = cli("study", "--resume", folder, "--jobs", 1, "--json")
    assert answer.code == 0, answer.err
    assert "resuming after 4 trials" in answer.err
    assert "run 2/2" in answer.err
    assert without_times(json.loads(answer.out)) == without_times(whole)
    now = {path: path.stat().st_mtime_ns for path in (folder / "trials").iterdir()}
    assert set(now) == set(kept)
    assert [path.name for path in sorted(kept) if now[path] != kept[path]] == lost
    # A finished one is shown again.
    again = cli("study", "--resume", folder / "plan.json", "--jobs", 1, "--json", "-q")
    assert json.loads(again.out) == json.loads(answer.out)
    assert again.err == ""


def without_times(document: dict) -> dict:
    arms = [document["base"], *document["arms"]]
    timed = {"train_seconds", "seconds_ratio"}
    return {
        **document, "base": None,
        "arms": [{name: arm[name] for name in arm.keys() - timed} for arm in arms],
    }  # fmt: skip


def test_other_images_are_refused_and_the_trials_stay(
    study: Callable, cli: Callable, tmp_path: Path, tiny_data: Path
) -> None:
    folder = Path(study(*SLOW, "--seeds", "0-1", "-q")[1]["path"])
    (folder / "trials" / "1-s1.json").unlink()
    other = tmp_path / "other"
    other.mkdir()
    for path in tiny_data.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    labels = other / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\0")
    answer = cli("study", "--resume", folder, "--jobs", 1, "--data", other, "-q")
    assert answer.code == 4
    assert answer.err.startswith("mnistcli: trials of seed 1 had different images")
    assert "resume with: mnistcli study --resume" in answer.err
    assert cli("study", "--resume", folder, "--jobs", 1, "-q").code == 0


@pytest.mark.slow
def test_a_diverging_arm_is_a_result(
    study: Callable, cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train_or_diverge(state: Any, examples: Any, course: Any, recipe: Any, *rest: Any) -> None:
        if recipe.batch_size == 63 and recipe.seed in seeds:
            raise DivergedError(Divergence(1, 3, 0.5, (7,)))
        real_train(state, examples, course, recipe, *rest)

    seeds = {1}
    monkeypatch.setattr(single_run, "train", train_or_diverge)
    wild = ("--arm", "wild: train.batch_size=63")
    answer, found = study(*wild, "--seeds", "0-2")
    assert answer.code == 0, answer.err
    arm = found["arms"][0]
    assert (arm["verdict"], arm["n"], arm["accuracies"][1]) == ("diverges", 2, None)
    assert arm["difference"] is not None
    assert [(each["arm"], each["seed"]) for each in found["diverged"]] == [("wild", 1)]
    assert "run 5/6" in answer.err
    assert "warning: wild, seed 1: the loss is not finite: epoch 1, step 3" in answer.err
    seeds |= {0, 2}
    answer, _ = study(*wild, "--seeds", "0-2", as_json=False)
    assert answer.code == 0, answer.err
    assert "diverged: wild, seed 0; wild, seed 1; wild, seed 2" in answer.out
    assert "wild" in next(line for line in answer.out.splitlines() if "diverges" in line)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), ["no arms to compare. Add one"]),
        ((*SLOW, "--seeds", ""), ["--seeds needs numbers"]),
        (("--arm", "train.epochs=2"), ['invalid --arm: "train.epochs=2" has no name']),
        (("--arm", "a: train.epochs=1", "--arm", "b: nope=1", *SLOW, *SLOW),
         ['"a": it trains the same as the base', '"b": nope: unknown key', '"slow": this name']),
        (("--arm", "big: coreset.size=9000", "--arm", "net: model.layers=[{kind='flatten'}]"),
         ['invalid arm "big": ', 'invalid arm "net": ']),
        ((*SLOW, "--plot", "no/such/folder.svg"), ['cannot write "no/such/folder.svg"']),
        ((*SLOW, "--resume", "x"), ["--resume cannot be combined with"]),
        ((*SLOW, "--recipe", "starter"), ["--recipe is for FILE.py:NAME"]),
    ],
)  # fmt: skip
def test_a_mistake_is_told_before_anything_is_trained(
    study: Callable, tmp_path: Path, options: tuple, said: list[str]
) -> None:
    answer, _ = study(*options)
    assert answer.code == (4 if "--plot" in options else 2)
    lines = answer.err.splitlines()
    assert len(lines) == len(said)
    for line, words in zip(lines, said, strict=True):
        assert words in line
    assert not (tmp_path / "runs").exists()


def test_arms_come_from_a_file_too(study: Callable, tmp_path: Path) -> None:
    path = tmp_path / "arms.toml"
    path.write_text(
        '[[arm]]\nname = "wide"\ntitle = "Twice the channels."\nset = { model.width = 2 }\n'
    )
    answer, found = study("--arms", path, "--seeds", "4", "-q")
    assert answer.code == 0, answer.err
    (arm,) = found["arms"]
    assert (arm["name"], arm["title"], arm["n"]) == ("wide", "Twice the channels.", 1)
    assert arm["parameters"] > 1.9 * found["base"]["parameters"]
    assert arm["difference"] is arm["verdict"] is None, "one seed has no difference"


def test_a_network_in_code_is_kept_with_the_study(
    cli: Callable, tiny_data: Path, tmp_path: Path
) -> None:
    code = tmp_path / "net.py"
    code.write_text(
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n    def __init__(self, bias=True):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(784, 10, bias=bias))\n"
    )
    answer = cli(
        "study", f"{code}:Net", "--arm", "no bias: model.arguments.bias=false", "--seeds", "0",
        "--set", "train.epochs=1", "--data", tiny_data, "--out", tmp_path / "runs", "--jobs", 1,
        "--json", "-q",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert [found["base"]["parameters"], found["arms"][0]["parameters"]] == [7_850, 7_840]
    code.unlink()
    folder = Path(found["path"])
    (folder / "trials" / "1-s0.json").unlink()
    answer = cli("study", "--resume", folder, "--jobs", 1, "--json", "-q")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["arms"][0]["accuracies"] == found["arms"][0]["accuracies"]


def test_what_is_no_study_is_one_line(cli: Callable, tmp_path: Path) -> None:
    answer = cli("study", "--resume", tmp_path)
    assert answer.code == 4
    assert answer.err.count("\n") == 1
    assert "plan.json" in answer.err
