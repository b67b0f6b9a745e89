import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnistcli.display.phases import orders_view
from mnistcli.engine.loop import train as real_train
from mnistcli.experiment.studies import trial
from mnistcli.records.comparisons import CurriculumComparison
from tests.display.samples import drawn, row

GROUPS = (
    "curriculum={kind='groups', mode='cumulative', names=['easy', 'medium', 'hard'],"
    " groups=[[0, 1, 7], [2, 3, 5, 6], [4, 8, 9]], targets=[0.2, 0.1, 0.1]}"
)
PACED = "curriculum={kind='paced', rounds=5}"


@pytest.fixture
def teach(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path, monkeypatch
) -> Callable:
    monkeypatch.setenv("MNISTCLI_CACHE", str(tmp_path / "cache"))

    def run(*options: object, command: str = "curriculum") -> tuple:
        answer = cli(
            command, tiny_preset, "--data", tiny_data, "--out", tmp_path / "runs", "--json",
            "--set", "budget.max_epochs=99", *options,
        )  # fmt: skip
        return answer, json.loads(answer.out) if answer.out else None

    return run


def test_phases_are_trained_evaluated_and_recorded(teach: Callable) -> None:
    answer, record = teach("--set", GROUPS)
    assert answer.code == 0
    assert record["schema"] == "mnistcli.run/2"
    assert [phase["name"] for phase in record["phases"]] == ["easy", "medium", "hard"]
    assert [phase["images"] for phase in record["phases"]] == [180, 420, 600]
    assert [phase["steps"] for phase in record["phases"]] == [6, 14, 20]  # two passes each
    assert [epoch["images"] for epoch in record["epochs"]] == [180, 180, 420, 420, 600, 600]
    assert record["passes"] == 4
    assert [check["name"] for check in record["checks"]][-3:] == [
        "phase_1_accuracy", "phase_2_accuracy", "phase_3_accuracy",
    ]  # fmt: skip
    for phase in record["phases"]:
        assert len(phase["digit_accuracies"]) == 10
        own = [phase["digit_accuracies"][digit] for digit in phase["digits"]]
        assert min(own) - 1e-9 <= phase["own_accuracy"] <= max(own) + 1e-9
    last = record["phases"][-1]
    assert last["own_accuracy"] == last["final_own_accuracy"]
    assert record["phases_evaluated_on"] == "training images"
    assert "easy 1/6" in answer.err
    assert "easy    0 1 7          180 images     6 batches of 64, target 20 %" in answer.err
    dropping = teach("--set", GROUPS, "--set", "train.drop_last=true")[0]
    assert "4 batches of 64, 52 left out" in dropping.err
    assert "target 20.00 %: PASS" in answer.err


def test_train_runs_the_same_curriculum(teach: Callable) -> None:
    one, other = teach("--set", GROUPS)[1], teach("--set", GROUPS, command="train")[1]
    assert one["weights_sha256"] == other["weights_sha256"]


def test_a_missed_target_fails_the_run(teach: Callable) -> None:
    answer, record = teach("--set", GROUPS, "--set", "curriculum.targets=[1.0, 1.0, 1.0]")
    assert answer.code == (0 if record["passed"] else 3)
    assert record["passed"] == all(p["own_accuracy"] == 1 for p in record["phases"])
    hard = "train.schedule.max_learning_rate=1e-6"
    targets = "curriculum.targets=[1.0, 1.0, 1.0]"
    assert teach("--set", GROUPS, "--set", targets, "--set", hard)[0].code == 3


def test_disjoint_phases_forget_and_a_person_is_told(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    answer = cli(
        "curriculum", tiny_preset, "--data", tiny_data, "--out", tmp_path, "--set", GROUPS,
        "--set", "curriculum.mode='disjoint'", "--set", "train.epochs=8", "--no-fail",
    )  # fmt: skip
    assert answer.code == 0
    assert "forgotten in later phases: 0 1 7: " in answer.out
    assert all(len(line) <= 80 for line in answer.out.splitlines()[:-2])


def test_phases_are_evaluated_on_images_not_trained_on(teach: Callable) -> None:
    held_out = teach("--set", GROUPS, "--set", "train.validation_examples=100")[1]
    assert held_out["phases_evaluated_on"] == "validation images"
    small = teach("--set", GROUPS, "--set", "coreset.size=200")[1]
    assert small["phases_evaluated_on"] == "training images not learned from"
    assert [phase["images"] for phase in small["phases"]] == [60, 140, 200]


@pytest.mark.parametrize("kind", ["paced", "self_paced"])
def test_rounds_use_a_growing_fraction_in_the_steps_of_plain_training(
    teach: Callable, kind: str
) -> None:
    answer, record = teach("--set", f"curriculum={{kind='{kind}', rounds=5}}")
    assert answer.code == 0
    assert [phase["images"] for phase in record["phases"]] == [120, 312, 505, 600, 600]
    assert sum(phase["steps"] for phase in record["phases"]) == 20
    assert record["passes"] == 20 * 64 / 600  # batches are full
    assert [phase["name"] for phase in record["phases"]][0] == "20 %"
    again = teach("--set", f"curriculum={{kind='{kind}', rounds=5}}")[1]
    assert again["weights_sha256"] == record["weights_sha256"]


HARDEST = "curriculum={kind='hardest', fractions=[1, 0.5], random_share=0.2}"


def test_later_epochs_are_on_the_hardest_images(teach: Callable) -> None:
    answer, record = teach("--set", HARDEST, "--set", "train.epochs=3")
    assert answer.code == 0
    assert record["passes"] == 2
    assert [line.split()[0] for line in answer.err.splitlines() if "loss" in line] == [
        "100", "50", "50",
    ]  # fmt: skip
    again = teach("--set", HARDEST, "--set", "train.epochs=3")[1]
    assert again["weights_sha256"] == record["weights_sha256"]
    # Chosen by their losses, not at random.
    other = teach("--set", HARDEST.replace("0.2", "1"), "--set", "train.epochs=3")[1]
    assert other["weights_sha256"] != record["weights_sha256"]
    assert other["epochs"][0]["train_loss"] == record["epochs"][0]["train_loss"]
    assert other["epochs"][2]["train_loss"] < record["epochs"][2]["train_loss"]


def test_the_hardest_images_are_compared_with_random_and_with_all(teach: Callable) -> None:
    answer, printed = teach(
        "--compare", "--seeds", "0-2", "--jobs", 1, "--threads", 1, "--set", HARDEST,
        "--set", "train.epochs=3",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert [arm["name"] for arm in printed["arms"]] == ["curriculum", "none", "random"]
    assert len({arm["steps"] for arm in printed["arms"]}) == 1


@pytest.mark.parametrize("order", ["easy_first", "hard_first", "random"])
def test_orders_differ(teach: Callable, order: str) -> None:
    record = teach("--set", PACED, "--set", f"curriculum.order='{order}'")[1]
    plain = teach(command="train")[1]
    assert record["weights_sha256"] != plain["weights_sha256"]


@pytest.mark.slow
@pytest.mark.parametrize("settings", [GROUPS, PACED, "curriculum={kind='self_paced', rounds=5}"])
def test_orders_are_compared_in_equal_steps(teach: Callable, settings: str) -> None:
    answer, printed = teach(
        "--compare", "--seeds", "0-2", "--jobs", 1, "--threads", 1, "--set", settings
    )
    assert answer.code == 0, answer.err
    assert [arm["name"] for arm in printed["arms"]] == ["curriculum", "none", "random", "reversed"]
    assert len({arm["steps"] for arm in printed["arms"]}) == 1
    for arm in printed["arms"]:
        assert len(arm["accuracies"]) == 3
        assert (arm["difference"] is None) == (arm["name"] == "curriculum")
    assert (Path(printed["path"]) / "comparison.json").is_file()
    assert "run 12/12" in answer.err
    assert printed["arms"][0]["images"] == printed["arms"][2]["images"]


def test_uneven_groups_are_compared_in_equal_steps_too(teach: Callable) -> None:
    uneven = GROUPS.replace("[[0, 1, 7], [2, 3, 5, 6], [4, 8, 9]]", "[[0], [1], [2,3,4,5,6,7,8,9]]")
    printed = teach("--compare", "--seeds", "0,1", "--jobs", 1, "--set", uneven)[1]
    assert len({arm["steps"] for arm in printed["arms"]}) == 1


@pytest.mark.slow
def test_a_person_reads_the_comparison(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    answer = cli(
        "curriculum", tiny_preset, "--data", tiny_data, "--out", tmp_path, "--set", GROUPS,
        "--compare", "--seeds", "0,1", "--jobs", 1,
    )  # fmt: skip
    assert "curriculum  " in answer.out
    assert "reversed" in answer.out
    assert "40 steps per run · 2 seeds" in answer.out
    assert all(len(line) <= 80 for line in answer.out.splitlines()[:-1])


@pytest.mark.slow
def test_a_comparison_outlives_a_training_that_diverges(
    teach: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train_or_diverge(state: Any, examples: Any, course: Any, recipe: Any, *rest: Any) -> None:
        real_train(state, examples, course, recipe, *rest)
        done.append(recipe.seed)
        if len(done) in (2, 3, 6):  # of four orders: "none" twice, "random" from the first seed
            raise FloatingPointError("the outputs are not finite")

    done: list[int] = []
    monkeypatch.setattr(trial, "train", train_or_diverge)
    options = ("--compare", "--seeds", "0,1", "--jobs", 1, "--threads", 1, "--set", PACED)
    answer, printed = teach(*options)
    assert answer.code == 0, answer.err
    arms = {arm["name"]: arm for arm in printed["arms"]}
    assert arms["none"]["accuracies"] == [None, None]
    assert arms["none"]["mean_accuracy"] is arms["none"]["train_seconds"] is None
    assert arms["random"]["accuracies"][0] is None
    assert arms["random"]["mean_accuracy"] == arms["random"]["accuracies"][1]
    assert arms["reversed"]["difference"] is not None
    found = [(each["arm"], each["seed"]) for each in printed["diverged"]]
    assert found == [("none", 0), ("random", 0), ("none", 1)]
    assert "warning: none, seed 0: the network's outputs are not finite" in answer.err
    shown = orders_view(CurriculumComparison.model_validate_json(answer.out))
    lines = drawn(shown)
    assert row(lines, "none")[1:] == ["–", "–", "–"]
    assert " diverged: none, seed 0; random, seed 0; none, seed 1" in lines


def test_label_noise_makes_training_labels_wrong_and_no_others(teach: Callable) -> None:
    clean = teach(command="train")[1]
    noisy = teach("--set", "data.label_noise=0.5", command="train")[1]
    assert noisy["test"]["total"] == clean["test"]["total"]
    assert noisy["epochs"][-1]["train_accuracy"] < clean["epochs"][-1]["train_accuracy"] - 0.2
    assert (
        noisy["weights_sha256"]
        == teach("--set", "data.label_noise=0.5", command="train")[1]["weights_sha256"]
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("groups=[[0, 1], [1, 2, 3, 4, 5, 6, 7, 8, 9]]", "the digit 1 is in more than one group"),
        ("groups=[[0, 1], [2, 3, 4, 5, 6, 7, 8]]", "the digit 9 is in no group"),
        ("groups=[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], []]", "phase 2 has no digits"),
        ("groups=[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]", "curriculum.groups.0.10"),
        ("targets=[0.9]", "1 targets for 3 phases"),
        ("names=['a', 'b', 'c', 'd']", "4 names for 3 phases"),
        ("kept_per_digit=5", "the mode replay needs kept_per_digit"),
        ("mode='replay'", "the mode replay needs kept_per_digit"),
        ("mode='random'", "curriculum.mode"),
        ("kind='pacd'", 'Did you mean "paced"'),
    ],
)
def test_a_mistake_in_groups_is_one_line(teach: Callable, change: str, words: str) -> None:
    answer, _ = teach("--set", GROUPS, "--set", f"curriculum.{change}")
    assert answer.code == 2, answer.err
    assert len(answer.err.splitlines()) == 1
    assert words in answer.err


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("{kind='paced', rounds=1}", "Use more rounds."),
        ("{kind='paced', rounds=4, pacing={full_at=0.9}}", "Set pacing.full_at to 0.75 or less."),
        ("{kind='paced', rounds=999}", "999 rounds of only 20 steps"),
        ("{kind='paced', pacing={full_at=1.5}}", "pacing.full_at"),
        ("{kind='paced', pacing={shape='wavy'}}", "pacing.shape"),
        ("{kind='self_paced', score='el2n'}", "curriculum.score"),
    ],
)
def test_a_mistake_in_pacing_is_one_line(teach: Callable, settings: str, words: str) -> None:
    answer, _ = teach("--set", f"curriculum={settings}")
    assert answer.code == 2, answer.err
    assert words in answer.err.splitlines()[-1]


def test_no_seeds_is_a_mistake_and_not_a_comparison(teach: Callable) -> None:
    answer, _ = teach("--set", GROUPS, "--seeds", "")
    assert answer.code == 2
    assert "--seeds" in answer.err
    assert teach("--set", GROUPS, "--jobs", 2)[0].code == 2


def test_a_preset_without_a_curriculum_is_told_so(teach: Callable) -> None:
    for options in ((), ("--compare",)):
        answer, _ = teach(*options)
        assert answer.code == 2
        assert "no [curriculum]" in answer.err


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("train.keep=best", "train.keep: this comparison measures on the held-out images"),
        ("train.early_stopping={patience=1}", "Set train.early_stopping=none."),
        ("train.schedule={kind='plateau'}", "Set train.schedule=none."),
    ],
)
def test_what_goes_by_held_out_images_is_not_compared_on_them(
    teach: Callable, setting: str, words: str
) -> None:
    held_out = ("--set", "train.validation_examples=100", "--set", setting)
    hardest = ("--set", "curriculum={kind='hardest', fractions=[1.0, 0.5]}")
    answer, _ = teach("--compare", *hardest, *held_out)
    assert answer.code == 2
    assert words in answer.err


def test_a_run_that_learned_from_the_held_out_images_starts_no_comparison(
    teach: Callable, cli: Callable, tiny_data: Path
) -> None:
    earlier = teach("--no-fail", command="train")[1]["path"]
    held_out = ("--set", "train.validation_examples=100", "--set", f"train.init={earlier}")
    for command in ("curriculum", "coreset"):
        curriculum = "none" if command == "coreset" else PACED.removeprefix("curriculum=")
        answer, _ = teach(
            "--compare", *held_out, "--set", f"curriculum={curriculum}", command=command
        )
        assert answer.code == 2
        assert "may have learned from the held-out images" in answer.err


@pytest.mark.parametrize(
    "options",
    [("--seeds", "0-1", "--seed", 7), ("--compare", "--seed", 7), ("--compare", "--no-fail")],
)
def test_options_without_effect_are_refused(teach: Callable, options: tuple) -> None:
    answer, _ = teach("--set", PACED, *options)
    assert answer.code == 2
    assert "cannot be combined with" in answer.err
