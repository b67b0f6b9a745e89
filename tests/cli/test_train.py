import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistcli.records.documents import RunRecord


@pytest.fixture
def train(cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path) -> Callable:
    """Trains the tiny preset on tiny data; the answer and its JSON."""

    def run(*options: object) -> tuple:
        answer = cli(
            "train",
            tiny_preset,
            "--data",
            tiny_data,
            "--out",
            tmp_path / "runs",
            "--json",
            *options,
        )
        return answer, json.loads(answer.out) if answer.out else None

    return run


def test_a_run_leaves_its_record_events_and_weights(train: Callable) -> None:
    answer, printed = train("--seed", 3)
    folder = Path(printed["path"])
    assert answer.code == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "events.jsonl", "record.json", "weights.safetensors",
    ]  # fmt: skip
    assert json.loads((folder / "record.json").read_text()) == printed
    weights = (folder / "weights.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == printed["weights_sha256"]
    events = [
        json.loads(line)["event"] for line in (folder / "events.jsonl").read_text().splitlines()
    ]
    assert events == ["TrainingStarted", "EpochFinished", "EpochFinished"]
    assert printed["run_id"] == folder.name
    assert folder.name.startswith("tiny-")
    assert folder.name.endswith("-s3")


def test_the_record_says_all_that_a_rerun_needs(train: Callable) -> None:
    _, printed = train("--threads", 1, "--precision", "float32")
    record = RunRecord.model_validate_json(json.dumps(printed))
    assert record.preset.train.batch_size == 64
    assert (record.device, record.precision, record.threads, record.seed) == (
        "cpu",
        "float32",
        1,
        0,
    )
    assert {"mnistcli", "torch", "python"} <= record.versions.keys()
    assert record.train_examples == 600
    assert record.test.total == 200
    assert record.test.accuracy == record.test.correct / 200
    assert record.train_seconds == pytest.approx(sum(epoch.seconds for epoch in record.epochs))
    assert [check.name for check in record.checks] == ["parameters", "epochs"]


def test_the_same_seed_gives_the_same_weights_and_another_does_not(train: Callable) -> None:
    digests = [train("--seed", seed)[1]["weights_sha256"] for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ("budget.min_test_accuracy=0", 0),
        ("budget.min_test_accuracy=1", 3),
        ("budget.max_epochs=1", 3),
        ("budget.parameters_below=4154", 3),
        ("budget.parameters_below=4155", 0),
        ("budget.max_train_seconds=1e-9", 3),
    ],
)
def test_the_exit_code_is_the_verdict(train: Callable, limit: str, code: int) -> None:
    changes = ("--set", limit, "--set", "train.schedule.max_learning_rate=1e-6")
    answer, printed = train(*changes)
    assert answer.code == code
    assert printed["passed"] is (code == 0)
    assert train(*changes, "--no-fail")[0].code == 0


def test_a_network_too_large_for_its_budget_is_told_before_training(train: Callable) -> None:
    answer, _ = train("--set", "budget.parameters_below=10")
    assert "exceeds its parameter budget" in answer.err.splitlines()[2]


def test_validation_is_reported_and_counts_as_not_trained_on(train: Callable) -> None:
    answer, printed = train(
        "--set", "train.validation_examples=150", "--set", "budget.max_train_fraction=0.75"
    )
    assert (printed["train_examples"], printed["validation_examples"]) == (450, 150)
    assert printed["train_fraction"] == 0.75
    assert all(0 <= epoch["validation_accuracy"] <= 1 for epoch in printed["epochs"])
    assert "valid" in answer.err
    assert printed["checks"][-1]["verdict"] == "pass"


def test_diverged_training_exits_5_and_leaves_no_record(train: Callable, tmp_path: Path) -> None:
    linear = "{kind='linear', out_features=10}"
    answer, printed = train(
        "--set",
        f"model.layers=[{{kind='flatten'}}, {', '.join([linear] * 5)}]",
        "--set",
        "train={epochs=9, batch_size=9, optimizer={kind='sgd', learning_rate=100}}",
    )
    assert answer.code == 5
    assert printed is None
    assert "not finite" in answer.err.splitlines()[-1]
    assert not list(tmp_path.glob("runs/*/record.json"))


def test_dry_run_prints_the_resolved_preset_and_does_nothing(
    train: Callable, tmp_path: Path
) -> None:
    answer, printed = train("--dry-run", "--set", "train.epochs=9")
    assert answer.code == 0
    assert printed["schema"] == "mnistcli.preset/1"
    assert printed["preset"]["train"]["epochs"] == 9
    assert printed["preset"]["train"]["optimizer"]["betas"] == [0.9, 0.999]
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_profile_says_where_the_time_went(
    train: Callable, cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    plain = train()[1]
    assert plain["profile"] is None
    assert plain["peak_memory"] > 50_000_000
    profile = train("--profile")[1]["profile"]
    assert list(profile["stages"]) == [
        "data", "forward", "backward", "optimizer", "other", "evaluation",
    ]  # fmt: skip
    ratio = profile["images_per_second"] / profile["ceiling_images_per_second"]
    assert profile["fraction_of_ceiling"] == pytest.approx(ratio)
    text = cli("train", tiny_preset, "--data", tiny_data, "--out", tmp_path, "--profile").out
    assert "of the network alone; peak memory" in text


def test_averaged_weights_are_those_kept(train: Callable, cli: Callable, tiny_data: Path) -> None:
    averaged = train("--set", "train.ema_decay=0.9")[1]
    assert averaged["weights_sha256"] != train()[1]["weights_sha256"]
    again = json.loads(cli("evaluate", averaged["path"], "--data", tiny_data, "--json").out)
    assert again["matches_record"] is True


def test_quiet_says_nothing_on_stderr(train: Callable) -> None:
    assert train("--quiet")[0].err == ""


def test_options_win_over_environment_over_preset(
    train: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNISTCLI_SEED", "7")
    monkeypatch.setenv("MNISTCLI_PRECISION", "float32")
    assert train()[1]["seed"] == 7
    printed = train("--seed", 8)[1]
    assert (printed["seed"], printed["precision"]) == (8, "float32")


def test_a_person_reads_a_table_and_a_verdict(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    answer = cli("train", tiny_preset, "--data", tiny_data, "--out", tmp_path)
    assert "95 % interval" in answer.out
    assert "parameters" in answer.out
    assert "< 5,000   PASS" in answer.out
    (run,) = tmp_path.glob("tiny-2*")
    assert answer.out.splitlines()[-2:] == [
        f" PASS  written to {run}", f" next: mnistcli evaluate {run}",
    ]  # fmt: skip
