"""The default recipe suits networks of every style, as the guide's table says."""

import re
from pathlib import Path

import pytest

from mnistcli.experiment.machine import Options
from mnistcli.experiment.summary import summarize
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import prepare
from mnistcli.preset.loading import load_preset
from mnistcli.preset.schema import Preset
from tests.networks.names import load

GUIDE = Path(__file__).parents[2] / "mnistcli" / "guides" / "networks.md"
ROW = re.compile(r"^\| `(\w+)` \| .*? \| ([\d,]+) \| (\d\d\.\d\d) \|", re.MULTILINE)
ROWS = {
    name: (int(parameters.replace(",", "")), float(accuracy))
    for name, parameters, accuracy in ROW.findall(GUIDE.read_text(encoding="utf-8"))
}
"""By the network: its parameters, and its held-out accuracy after three epochs, in per cent."""


def find(name: str, *overrides: str) -> Preset:
    is_preset = name == "starter"
    return (
        load_preset(name, overrides)
        if is_preset
        else load(f"recipe_networks.py:{name}", *overrides)
    )


def test_the_table_is_found() -> None:
    assert len(ROWS) == 11


@pytest.mark.parametrize("name", ROWS)
def test_the_table_counts_as_the_tool_does(name: str) -> None:
    assert summarize(find(name)).parameters == ROWS[name][0]


def test_the_network_of_the_recipe_fits_its_budget() -> None:
    verdicts = {check.name: check.verdict for check in summarize(load_preset("starter")).checks}
    assert verdicts == {"parameters": "pass"}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ROWS][::4])
def test_three_epochs_give_what_the_table_says(name: str, tmp_path: Path) -> None:
    """With another seed, within half a percentage point."""
    preset = find(name, "train.epochs=3", "train.validation_examples=10000")
    record = run(prepare(preset, Options(seed=3, threads=1, out=tmp_path)), lambda event: None)
    accuracy = record.epochs[-1].validation_accuracy
    assert accuracy
    assert 100 * accuracy == pytest.approx(ROWS[name][1], abs=0.5)
