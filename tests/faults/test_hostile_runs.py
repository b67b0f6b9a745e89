"""Runs whose files were changed, handed to `mnistcli runs`."""

import json
import random
import shutil
from pathlib import Path

import pytest

from mnistcli.preset.loading import load_preset
from tests.conftest import TINY_PRESET, Counts, run_command
from tests.faults.runs import interrupted_run
from tests.faults.test_fuzz import mutate, swap_values, time_limit

pytestmark = pytest.mark.faults
TRIES = 25


@pytest.fixture(scope="module")
def made(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a coreset and a tag, and an unfinished one; do not change them."""
    out = tmp_path_factory.mktemp("made")
    (out / "tiny.toml").write_text(TINY_PRESET)
    assert load_preset(str(out / "tiny.toml")).name == "tiny"
    coreset = ("--set", "coreset={size=200, selector={kind='random'}}")
    line = ("train", out / "tiny.toml", "--data", tiny_data, "--out", out / "runs", "-q", *coreset)
    assert run_command(*line).code == 0
    (folder,) = (out / "runs").iterdir()
    folder.rename(out / "runs" / "ended")
    assert run_command("runs", "tag", out / "runs" / "ended", "best").code == 0
    interrupted_run(tiny_data, out / "begun", 9).rename(out / "runs" / "begun")
    return out / "runs"


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "ended/record.json", "ended/tag.json", "ended/events.jsonl", "ended/indices.npz",
        "ended/weights.safetensors", "begun/start.json", "begun/state.safetensors",
        "begun/events.jsonl",
    ],
)  # fmt: skip
def test_whatever_is_in_a_run_the_commands_end_as_documented(
    name: str, as_json: bool, made: Path, tmp_path: Path, counts: Counts
) -> None:
    runs = Path(shutil.copytree(made, tmp_path / "runs"))
    rng = random.Random(name)
    path, run = runs / name, (runs / name).parent
    content = path.read_bytes()
    for number in range(TRIES):
        if name.endswith(".json") and number % 2:
            path.write_text(json.dumps(swap_values(json.loads(content), rng)))
        else:
            path.write_bytes(mutate(content, rng))
        for command in (("list", runs), ("show", run), ("check", run), ("rm", "--dry-run", run)):
            with time_limit():
                answer = run_command("runs", *command, *["--json"] * as_json)
            assert answer.code in (0, 3, 4), answer.err
            assert "\x1b" not in answer.out
            if as_json and answer.out:
                json.loads(answer.out)
            counts["commands on changed runs that ended as documented"] += 1


def test_a_repetition_of_a_changed_record_ends_as_documented(made: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(made / "ended", tmp_path / "ended"))
    record, rng = json.loads((run / "record.json").read_text()), random.Random(9)
    for _ in range(TRIES):
        preset = swap_values({"train": record["preset"]["train"], "seed": record["seed"]}, rng)
        if isinstance(preset, dict) and isinstance(preset.get("train"), dict):
            changed = record | {"seed": preset.get("seed")}
            changed["preset"] = record["preset"] | {"train": preset["train"]}
            (run / "record.json").write_text(json.dumps(changed))
            answer = run_command("runs", "check", "--train", "-q", run)
            assert answer.code in (0, 2, 3, 4), answer.err
