"""Distillation: the loss is Hinton's, the teachers stand in the record, and it resumes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from mnistcli.engine.targets import SoftTargets, Targets
from mnistcli.errors import FileError, PresetError
from mnistcli.experiment.machine import Options
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import prepare, reopen
from mnistcli.preset.loading import load_preset, validate_preset
from mnistcli.preset.schema import Preset
from mnistcli.records.documents import RunRecord
from tests.faults.runs import options_of, train_in_pieces

LAYERS = [
    {"kind": "conv", "out_channels": 4, "kernel_size": 5, "stride": 4},
    {"kind": "relu"},
    {"kind": "flatten"},
    {"kind": "linear", "out_features": 10},
]


def make_student(teachers: list[str], **settings: float) -> Preset:
    content = {
        "name": "student", "title": "For tests", "model": {"layers": LAYERS},
        "augment": [{"kind": "affine", "degrees": 5}],
        "teacher": {"runs": teachers, **settings},
        "train": {
            "epochs": 2, "batch_size": 100,
            "optimizer": {"kind": "adamw", "learning_rate": 0.02},
        },
    }  # fmt: skip
    return validate_preset(content, "student")


@pytest.fixture(scope="module")
def teachers(
    tiny_data: Path, tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[RunRecord]:
    out = tmp_path_factory.mktemp("teachers")
    preset = load_preset(str(tiny_preset))
    every = [Options(seed, "cpu", "float32", 1, tiny_data, out) for seed in (1, 2)]
    return [run(prepare(preset, options), lambda event: None) for options in every]


def test_the_loss_is_hintons() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, taught = (torch.randn(6, 10, generator=generator) for _ in range(2))
    labels, temperature, weight = torch.arange(6), 3.0, 0.7
    soft = SoftTargets((taught / temperature).softmax(dim=1), temperature, weight)
    ratios = soft.probabilities.log() - (logits / temperature).log_softmax(dim=1)
    divergence = (soft.probabilities * ratios).sum(dim=1)
    hard = functional.cross_entropy(logits, labels, reduction="none")
    right = (1 - weight) * hard + weight * temperature**2 * divergence
    found = Targets(labels, soft=soft).measure_losses(logits, 0.0, each=True)
    torch.testing.assert_close(found, right)


def test_it_is_recorded_and_resumes_to_the_same_bits(
    teachers: list[RunRecord], tiny_data: Path, tmp_path: Path
) -> None:
    preset = make_student([record.path for record in teachers], temperature=2.0, weight=0.5)
    chosen = {"precision": "bfloat16"}
    unbroken = train_in_pieces(preset, options_of(chosen, tiny_data, tmp_path / "a"), [])
    broken = train_in_pieces(preset, options_of(chosen, tiny_data, tmp_path / "b"), [3, 5])
    assert broken == unbroken
    recorded = unbroken["record"]["teachers"]
    assert [each["weights_sha256"] for each in recorded] == [
        record.weights_sha256 for record in teachers
    ]
    assert [each["parameters"] for each in recorded] == [4_154, 4_154]
    alone = preset.model_copy(update={"teacher": None})
    untaught = train_in_pieces(alone, options_of(chosen, tiny_data, tmp_path / "c"), [])
    assert untaught["record"]["weights_sha256"] != unbroken["record"]["weights_sha256"]


def test_a_student_learns_what_its_teacher_says_and_not_the_labels(
    teachers: list[RunRecord], tiny_data: Path, tmp_path: Path
) -> None:
    """With all weight on the teacher, wrong labels change nothing."""
    hashes = set()
    for noise in (0.0, 0.9):
        preset = make_student([teachers[0].path], weight=1.0)
        noisy = preset.data.model_copy(update={"label_noise": noise})
        options = Options(3, "cpu", "float32", 1, tiny_data, tmp_path / str(noise))
        setup = prepare(preset.model_copy(update={"data": noisy}), options)
        hashes.add(run(setup, lambda event: None).weights_sha256)
    assert len(hashes) == 1


def test_a_teacher_that_has_changed_is_one_line(
    teachers: list[RunRecord], tiny_data: Path, tmp_path: Path
) -> None:
    with pytest.raises(PresetError, match="teacher.runs: "):
        prepare(make_student([str(tmp_path / "nothing")]), Options(0, data=tiny_data, out=tmp_path))
    setup = prepare(make_student([teachers[0].path]), Options(0, data=tiny_data, out=tmp_path))
    weights = Path(teachers[0].path) / "weights.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(PresetError, match=r"teacher.runs: .*has changed since the training"):
        prepare(make_student([teachers[0].path]), Options(0, data=tiny_data, out=tmp_path))
    weights.write_bytes(content)
    path = Path(teachers[0].path) / "record.json"
    text = path.read_text()
    document = json.loads(text)
    document["run_id"] = "another"
    path.write_text(json.dumps(document))
    with pytest.raises(FileError, match="its teachers have changed"):
        reopen(setup.folder)
    path.write_text(text)


def test_mixing_reaches_the_training(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    hashes = set()
    for kind in ("", "{kind='mixup', alpha=1.0}", "{kind='cutmix'}"):
        line = ("train", tiny_preset, "--data", tiny_data, "--out", tmp_path, "--json", "-q")
        answer = cli(*line, "--no-fail", "--set", f"augment=[{kind}]")
        hashes.add(json.loads(answer.out)["weights_sha256"])
    assert len(hashes) == 3
    answer = cli("train", tiny_preset, "--set", "augment=[{kind='mixup'}, {kind='blur'}]")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "mixup mixes labels too, so it must be the last one" in answer.err


VIEWING = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 4, 5, stride=4), nn.Linear(144, 10)

    def forward(self, images):
        noise = torch.rand_like(images) if self.training else torch.rand(images.shape)
        return self.last(self.first(images + 0.1 * noise).view(-1, 144))
"""


def test_a_teacher_in_code_answers_as_it_was_evaluated_and_the_same_after_a_resume(
    tiny_data: Path, tmp_path: Path, cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reshapes as channels last does not allow, and draws random numbers in evaluation."""
    monkeypatch.setenv("MNISTCLI_ALLOWED", str(tmp_path / "allowed.txt"))
    (tmp_path / "net.py").write_text(VIEWING)
    taught = cli(
        "train", f"{tmp_path}/net.py:Net", "--data", tiny_data, "--out", tmp_path / "runs",
        "--set", "train.epochs=1", "--precision", "float32", "--no-fail", "--json",
    )  # fmt: skip
    assert taught.code == 0, taught.err
    preset = make_student([json.loads(taught.out)["path"]])
    chosen = {"precision": "bfloat16"}
    unbroken = train_in_pieces(preset, options_of(chosen, tiny_data, tmp_path / "a"), [])
    broken = train_in_pieces(preset, options_of(chosen, tiny_data, tmp_path / "b"), [3, 5])
    assert broken == unbroken
    (tmp_path / "allowed.txt").unlink()
    options = options_of(chosen, tiny_data, tmp_path / "c")
    with pytest.raises(PresetError, match="--allow-code"):
        run(prepare(preset, options), lambda event: None)
    run(prepare(preset, replace(options, allow_code=True)), lambda event: None)
