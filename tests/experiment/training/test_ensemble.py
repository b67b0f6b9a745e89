"""Ensembles: members are what their seeds train, and together they are one network."""

import json
from collections.abc import Callable
from pathlib import Path
from signal import SIGTERM

import pytest
import safetensors.torch
import torch

from mnistcli.engine.events import EpochFinished, Event, StepFinished, TrainingStarted
from mnistcli.engine.network.ensemble import Ensemble
from mnistcli.errors import DivergedError, FileError, PresetError
from mnistcli.experiment.machine import Options
from mnistcli.experiment.training.members import list_seeds
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import prepare, reopen
from mnistcli.preset.loading import load_preset
from mnistcli.process import Stopped, _stop
from mnistcli.records.checkpoint import load_state, save_state
from mnistcli.records.documents import RunRecord
from tests.conftest import Answer
from tests.faults.runs import what_is_left

Cli = Callable[..., Answer]
HELD_OUT = "train.validation_examples=100"
HARDEST = 'curriculum={kind="hardest", fractions=[1, 0.5]}'
QUANTIZED = "train.quantize.weights=4"


def train(preset: Path, data: Path, out: Path, *overrides: str, seed: int = 3) -> RunRecord:
    loaded = load_preset(str(preset), overrides)
    return run(prepare(loaded, Options(seed, "cpu", "float32", 1, data, out)), lambda event: None)


def weights_of(record: RunRecord) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(Path(record.path) / "weights.safetensors")


@pytest.mark.parametrize("overrides", [(HARDEST,), (QUANTIZED, "train.ema_decay=0.9")])
def test_members_are_what_their_seeds_train(
    overrides: tuple[str, ...], tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    together = train(tiny_preset, tiny_data, tmp_path, *overrides, "ensemble.seeds=3")
    found = weights_of(together)
    seeds = [member.seed for member in together.members]
    assert seeds == [*list_seeds(together.preset, 3)]
    assert seeds[0] == 3
    assert len(set(seeds)) == 3
    for number, seed in enumerate(seeds):
        alone = train(tiny_preset, tiny_data, tmp_path, *overrides, seed=seed)
        prefix = f"members.{number}."
        own = {name: value for name, value in found.items() if name.startswith(prefix)}
        assert len(own) == len(weights_of(alone))
        for name, value in weights_of(alone).items():
            assert torch.equal(own[prefix + name], value), (number, name)
        assert [epoch.train_loss for epoch in alone.epochs] == [
            epoch.train_loss for epoch in together.epochs if epoch.member == number + 1
        ]


def test_all_figures_are_of_all_members(tiny_preset: Path, tiny_data: Path, tmp_path: Path) -> None:
    chosen = (HELD_OUT, "train.keep=best")
    alone = train(tiny_preset, tiny_data, tmp_path, *chosen)
    record = train(tiny_preset, tiny_data, tmp_path, *chosen, "ensemble.seeds=3")
    assert (record.parameters, record.macs) == (3 * alone.parameters, 3 * alone.macs)
    assert sum(member.parameters for member in record.members) == record.parameters
    seconds = sum(member.train_seconds for member in record.members)
    assert record.train_seconds == pytest.approx(seconds)
    assert record.passes == 2
    assert [(each.member, each.epoch) for each in record.epochs] == [
        (member, epoch) for member in (1, 2, 3) for epoch in (1, 2)
    ]
    assert record.kept_epoch is None
    for number, member in enumerate(record.members, start=1):
        own = [each for each in record.epochs if each.member == number]
        assert member.kept_epoch is not None
        assert member.validation_accuracy == own[member.kept_epoch - 1].validation_accuracy
    # The first member sees the same held-out images, and has the run's seed.
    first = {name: value for name, value in weights_of(record).items() if "members.0." in name}
    assert all(
        torch.equal(first[f"members.0.{name}"], value) for name, value in weights_of(alone).items()
    )


def test_the_answer_is_the_mean_of_the_logits(tiny_data: Path) -> None:
    torch.manual_seed(0)
    members = [torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10)) for _ in range(3)]
    images = torch.randn(5, 1, 28, 28)
    logits = torch.stack([member(images) for member in members])
    found = Ensemble(members)(images)
    torch.testing.assert_close(found, logits.mean(dim=0))
    # Whatever a member adds to all of its logits changes nothing.
    geometric = logits.log_softmax(dim=2).mean(dim=0).softmax(dim=1)
    torch.testing.assert_close(found.softmax(dim=1), geometric)
    labels = torch.arange(5)
    loss = torch.nn.functional.cross_entropy
    assert loss(found, labels) <= sum(loss(each, labels) for each in logits) / 3


AT_ANY_STEP = [pytest.param(step, marks=pytest.mark.faults) for step in (1, 10, 21, 22, 40, 60)]


@pytest.mark.parametrize("step", [20, 45, *AT_ANY_STEP])
def test_a_run_stopped_at_any_member_resumes_to_the_same_bits(
    step: int, tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    overrides = (HELD_OUT, "train.keep=best", "ensemble.seeds=3", "train.batch_size=50")
    unbroken = train(tiny_preset, tiny_data, tmp_path / "a", *overrides)
    loaded = load_preset(str(tiny_preset), overrides)
    setup = prepare(loaded, Options(3, "cpu", "float32", 1, tiny_data, tmp_path / "b"))
    left, starts = step, list[TrainingStarted]()

    def listen(event: Event) -> None:
        nonlocal left
        left -= isinstance(event, StepFinished)
        if left == 0 and isinstance(event, StepFinished):
            _stop(SIGTERM, None)

    with pytest.raises(Stopped):
        run(setup, listen)
    resumed = run(
        reopen(setup.folder),
        lambda event: starts.append(event) if isinstance(event, TrainingStarted) else None,
    )
    assert what_is_left(setup.folder) == what_is_left(Path(unbroken.path))
    assert [start.member for start in starts] == [*range(1 + (step - 1) // 20, 4)]
    assert resumed.weights_sha256 == unbroken.weights_sha256


def test_a_kill_between_two_members_loses_nothing(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    unbroken = train(tiny_preset, tiny_data, tmp_path / "a", "ensemble.seeds=2")
    loaded = load_preset(str(tiny_preset), ["ensemble.seeds=2"])
    setup = prepare(loaded, Options(3, "cpu", "float32", 1, tiny_data, tmp_path / "b"))

    def die_before_the_second(event: Event) -> None:
        if isinstance(event, TrainingStarted) and event.member == 2:
            raise Killed  # it is logged, and nothing is saved of it

    def die_after_the_last(event: Event) -> None:
        if isinstance(event, EpochFinished) and (event.member, event.epoch) == (2, 2):
            raise Killed

    for die in (die_before_the_second, die_after_the_last):
        with pytest.raises(Killed):
            run(reopen(setup.folder), die)
    run(reopen(setup.folder), lambda event: None)
    assert what_is_left(setup.folder) == what_is_left(Path(unbroken.path))


@pytest.mark.parametrize(
    "change",
    [
        {"members": ()},
        {"members": "twice"},
        {"kept_epoch": 9},
        {"tensor": "member.0.0.weight"},
        {"added": "member.1.0.weight"},
    ],
)
def test_a_state_of_other_members_is_refused(
    change: dict, tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    loaded = load_preset(str(tiny_preset), ["ensemble.seeds=2"])
    setup = prepare(loaded, Options(3, "cpu", "float32", 1, tiny_data, tmp_path))

    def stop_in_the_second(event: Event) -> None:
        if isinstance(event, TrainingStarted) and event.member == 2:
            _stop(SIGTERM, None)

    with pytest.raises(Stopped):
        run(setup, stop_in_the_second)
    tensors, facts = load_state(setup.folder)
    assert len(facts.members) == 1
    match change:
        case {"members": "twice"}:
            facts = facts.model_copy(update={"members": facts.members * 2})
        case {"members": none}:
            facts = facts.model_copy(update={"members": none})
        case {"kept_epoch": epoch}:
            members = [each.model_copy(update={"kept_epoch": epoch}) for each in facts.members]
            facts = facts.model_copy(update={"members": tuple(members)})
        case {"tensor": name}:
            tensors[name] = tensors[name][:1]
        case {"added": name}:
            tensors[name] = torch.zeros(1)
    save_state(setup.folder, tensors, facts)
    with pytest.raises(FileError, match=r"cannot resume from .*state\.safetensors.*belongs to"):
        run(reopen(setup.folder), lambda event: None)


def test_a_member_that_diverges_is_named(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnistcli.engine import loop

    steps, learn = 0, loop.learn

    def fail(*arguments: object) -> object:
        nonlocal steps
        steps += 1
        if steps > 25:
            raise FloatingPointError
        return learn(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "learn", fail)
    with pytest.raises(DivergedError, match="not finite: member 2, epoch 1, step 6") as error:
        train(tiny_preset, tiny_data, tmp_path, "ensemble.seeds=2")
    assert "Lower train.schedule.max_learning_rate" in str(error.value)
    (document,) = tmp_path.glob("*/divergence.json")
    assert json.loads(document.read_text())["member"] == 2


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("ensemble.seeds=1", "greater than or equal to 2"),
        ("ensemble.seeds=101", "less than or equal to 100"),
        ("train.within_seconds=5", "train.within_seconds is for a single network. Leave one out"),
        ('prune={kind="weights", fraction=0.5, epochs=1}', "prune is for a single network"),
        ('curriculum={kind="self_paced", rounds=4}', "Leave the curriculum or the ensemble out"),
    ],
)
def test_what_makes_no_ensemble_is_refused(tiny_preset: Path, override: str, says: str) -> None:
    with pytest.raises(PresetError, match=says):
        load_preset(str(tiny_preset), ["ensemble.seeds=3", override])


@pytest.mark.slow
def test_every_command_takes_it_for_one_network(
    cli: Cli, tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    common = ("-q", "--json", "--out", tmp_path)
    chosen = ("--set", "ensemble.seeds=2", "--set", HELD_OUT)
    counted = json.loads(cli("summary", tiny_preset, *chosen, "--json").out)
    answer = cli("train", tiny_preset, "--data", tiny_data, *chosen, *common)
    record = json.loads(answer.out)
    assert (
        counted["parameters"]
        == record["parameters"]
        == 2 * sum(layer["parameters"] for layer in counted["layers"])
    )
    assert counted["macs"] == record["macs"]
    path = record["path"]
    again = json.loads(cli("train", "--from", path, *common).out)
    assert again["repeats"]["matches"] is True
    assert json.loads(cli("evaluate", path, "--json").out)["matches_record"] is True
    checked = cli("runs", "check", path)
    assert (checked.code, "REFUTED" in checked.out) == (0, False)
    assert "member" in cli("runs", "show", path).out
    assert cli("compare", path, again["path"]).code == 0
    assert cli("report", path, "--out", tmp_path / "report.html").code == 0
    assert "seed 0, member 2" in (tmp_path / "report.html").read_text()
    student = cli(
        "train", tiny_preset, "--data", tiny_data, "--set", f'teacher.runs=["{path}"]', *common
    )
    (teacher,) = json.loads(student.out)["teachers"]
    assert teacher["parameters"] == record["parameters"]


def test_a_log_names_the_member(
    cli: Cli, tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    answer = cli(
        "train", tiny_preset, "--data", tiny_data, "--set", "ensemble.seeds=2", "--out", tmp_path
    )
    titles = [line.partition("  ")[0] for line in answer.err.splitlines() if "loss" in line]
    assert titles == [f"epoch {b}/2 of member {a}/2" for a, b in ("11", "12", "21", "22")]
    assert "2 networks · " in answer.err
    batch = cli(
        "train", tiny_preset, "--data", tiny_data, "--set", "ensemble.seeds=2", "--seeds", "0-1",
        "--jobs", 1, "--out", tmp_path,
    )  # fmt: skip
    assert "seed 1  epoch 2/2 of member 2/2" in batch.err


@pytest.mark.parametrize(
    "words", [("coreset", "--methods", "random"), ("curriculum", "--set", HARDEST)]
)
def test_comparisons_of_one_network_are_refused(
    words: tuple[str, ...], cli: Cli, tiny_preset: Path, tmp_path: Path
) -> None:
    command, *options = words
    chosen = ("--set", "ensemble.seeds=2", "--out", tmp_path, "--seeds", "0-1")
    answer = cli(command, tiny_preset, "--compare", *options, *chosen)
    assert answer.code == 2
    assert "one network a trial. Set ensemble=none." in answer.err
