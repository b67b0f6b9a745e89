"""Networks in every style train, resume and repeat to the last bit."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistcli.experiment.machine import Options
from mnistcli.experiment.training.repeat import prepare_repetition
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import prepare
from mnistcli.preset.choices import PrecisionChoice
from tests.faults.runs import train_in_pieces
from tests.networks.names import HERE, NETWORKS, STYLES, load

QUICK = ("train.epochs=2", "train.batch_size=90")  # seven batches an epoch, the last one smaller
MUON = (
    "train.optimizer={kind='muon', learning_rate=0.02, others={kind='adamw', learning_rate=0.01}}"
)


@pytest.mark.slow
@pytest.mark.parametrize("place", range(len(NETWORKS)), ids=NETWORKS)
def test_interrupted_it_ends_with_the_same_bits(
    place: int, tiny_data: Path, tmp_path: Path
) -> None:
    """Half of them in bfloat16, and half, of both kinds, with a moving average."""
    precision: PrecisionChoice = "float32" if place % 2 else "bfloat16"
    if NETWORKS[place] == "unusual.py:Rows":  # oneDNN has no LSTM in bfloat16 on every processor
        precision = "auto"
    options = Options(3, "cpu", precision, 1, tiny_data, tmp_path)
    preset = load(NETWORKS[place], *QUICK, f"train.ema_decay={(0.9, 'none')[place // 2 % 2]}")
    unbroken = train_in_pieces(preset, options, [])
    assert len(unbroken["epochs"]) == 2
    broken = train_in_pieces(preset, options, [place % 13 + 1])
    assert broken == unbroken


@pytest.mark.slow
@pytest.mark.parametrize("network", ["styles.py:Residual", "styles.py:SameModuleTwice"])
def test_muon_and_a_moving_average_resume_too(
    network: str, tiny_data: Path, tmp_path: Path
) -> None:
    options = Options(3, "cpu", "bfloat16", 1, tiny_data, tmp_path)
    preset = load(network, *QUICK, MUON, "train.ema_decay=0.9", "train.clip_gradient_norm=1.0")
    unbroken = train_in_pieces(preset, options, [])
    assert train_in_pieces(preset, options, [4, 5]) == unbroken


def test_momentum_of_layers_that_are_seldom_used_resumes_too(
    tiny_data: Path, tmp_path: Path
) -> None:
    options = Options(3, "cpu", "float32", 1, tiny_data, tmp_path)
    sgd = "train.optimizer={kind='sgd', learning_rate=0.02, momentum=0.9}"
    preset = load("unusual.py:Seldom", *QUICK, sgd, "train.schedule=none")
    unbroken = train_in_pieces(preset, options, [])
    assert train_in_pieces(preset, options, [1, 3]) == unbroken


@pytest.mark.parametrize(
    "network", ["unusual.py:Noisy", "unusual.py:Counting", "styles.py:Lazy", "unusual.py:Numpy"]
)
def test_a_repetition_has_the_same_bits(network: str, tiny_data: Path, tmp_path: Path) -> None:
    options = Options(3, "cpu", "float32", 1, tiny_data, tmp_path)
    first = run(prepare(load(network, *QUICK), options), lambda event: None)
    again = run(prepare_repetition(Path(first.path), Options(out=tmp_path)), lambda event: None)
    assert again.repeats
    assert again.repeats.matches


@pytest.mark.slow
def test_seeds_differ_in_weights_alone_and_repeat(
    cli: Callable, tiny_data: Path, tmp_path: Path
) -> None:
    """In a batch and one by one."""
    common = (HERE / "styles.py:LogSoftmax", "--data", tiny_data, "--out", tmp_path, "--json", "-q")
    settings = [part for each in QUICK for part in ("--set", each)]
    answer = cli("train", *common, *settings, "--seeds", "0-1", "--jobs", 1, "--no-fail")
    assert answer.code == 0, answer.err
    weights = [each["weights_sha256"] for each in json.loads(answer.out)["runs"]]
    assert len(set(weights)) == 2
    single = cli("train", *common, *settings, "--seed", 1, "--no-fail")
    assert json.loads(single.out)["weights_sha256"] == weights[1]


@pytest.mark.slow
def test_one_epoch_of_mnist_is_enough(cli: Callable, tmp_path: Path) -> None:
    """With the default recipe."""
    assert train_one_epoch(cli, "Residual", tmp_path) >= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("name", STYLES)
def test_one_epoch_of_a_tenth_is_a_beginning(
    cli: Callable, name: str, tenth: Path, tmp_path: Path
) -> None:
    """A softmax in the network, or an average at its end, takes longer than the others."""
    options = ("--data", tenth, "--set", "train.batch_size=32")
    found = train_one_epoch(cli, name, tmp_path, *options)
    assert found >= {"Softmax": 0.6, "nested": 0.7}.get(name, 0.85)


def train_one_epoch(cli: Callable, name: str, folder: Path, *options: object) -> float:
    network = HERE / f"styles.py:{name}"
    answer = cli("train", network, "--budget", "epochs<=1", "--out", folder, "--json", "-q",
                 *options)  # fmt: skip
    assert answer.code == 0, answer.err
    accuracy: float = json.loads(answer.out)["test"]["accuracy"]
    print(f"{name}: {accuracy:.2%}")
    return accuracy
