import json
import re
from statistics import median

import pytest
from scipy.stats import ttest_1samp

from mnistcli.experiment.summary import summarize
from mnistcli.preset.loading import list_presets, load_preset
from mnistcli.verdict.stats import Sample, accuracy_interval
from tests.ledger.files import PAGE, PLOT, README, RUNS, TIMES, read
from tests.ledger.plot import fingerprint, points_of_plot
from tests.ledger.table import rows_of_ledger, rows_of_results
from tests.ledger.timing import seconds_of

LEDGER = json.loads(RUNS.read_text())
MEASURED = [name for name in list_presets() if load_preset(name).reference]


def test_page_and_plot_are_up_to_date() -> None:
    """If not, run python -m tests.ledger."""
    assert rows_of_ledger() in PAGE.read_text()
    assert rows_of_results() in README.read_text()
    assert fingerprint(points_of_plot()) in PLOT.read_text()


@pytest.mark.parametrize("name", MEASURED)
def test_a_reference_is_traced_to_its_runs(name: str) -> None:
    reference, entry = load_preset(name).reference, LEDGER[name]
    assert reference
    runs = entry["runs"]
    assert list(reference.seeds) == [run["seed"] for run in runs]
    assert list(reference.test_accuracies) == [run["correct"] / 10_000 for run in runs]
    mean = sum(reference.test_accuracies) / len(runs)
    assert reference.mean_test_accuracy == pytest.approx(mean, abs=1e-6)
    spread = sum((share - mean) ** 2 for share in reference.test_accuracies) / (len(runs) - 1)
    assert reference.sd_test_accuracy == pytest.approx(spread**0.5, abs=1e-6)
    for series, figure in (
        (reference.test_losses, "test_loss"),
        (reference.train_accuracies, "train_accuracy"),
        (reference.train_losses, "train_loss"),
    ):
        assert list(series) == [round(run[figure], 5) for run in runs]
    seconds = [round(run["train_seconds"], 2) for run in runs]
    assert reference.median_train_seconds == pytest.approx(median(seconds), abs=0.06)
    assert reference.version == entry["versions"]["mnistcli"]
    assert reference.command == entry["command"]
    assert all(len(run["weights_sha256"]) == len(run["record_sha256"]) == 64 for run in runs)
    assert len({run["weights_sha256"] for run in runs}) == len(runs)


def test_what_the_readme_says_of_the_arduino() -> None:
    (percent,) = re.findall(
        r"a network with\s+([\d.]+) % runs on an emulated Arduino Uno", README.read_text()
    )
    reference = load_preset("atmega328p").reference
    assert reference and f"{100 * reference.mean_test_accuracy:.1f}" == percent


@pytest.mark.parametrize("name", MEASURED)
def test_times_are_those_that_were_taken(name: str) -> None:
    preset, entry = load_preset(name), read(TIMES).get(name)
    assert preset.reference
    if entry is None:  # needs an idle machine
        assert preset.reference.seconds_alone is None
        return
    assert preset.reference.seconds_alone == pytest.approx(seconds_of(entry), abs=0.06)
    if len(entry["epoch_seconds"]) != entry["epochs"]:
        assert entry["epochs"] == preset.train.epochs


@pytest.mark.parametrize("name", MEASURED)
def test_verdicts_on_claims_follow_from_the_runs(name: str) -> None:
    preset = load_preset(name)
    summary = summarize(preset)
    assert preset.reference
    assert (preset.reference.parameters, preset.reference.macs) == (
        summary.parameters, summary.macs,
    )  # fmt: skip
    figures = {
        "test_accuracy": [run["correct"] / 10_000 for run in LEDGER[name]["runs"]],
        "test_loss": [run["test_loss"] for run in LEDGER[name]["runs"]],
        "train_accuracy": [run["train_accuracy"] for run in LEDGER[name]["runs"]],
        "train_loss": [run["train_loss"] for run in LEDGER[name]["runs"]],
    }
    for audit in summary.published:
        if audit.figure == "parameters":
            same = audit.claimed == summary.parameters
            assert audit.verdict == ("confirmed" if same else "refuted")
        elif len(set(values := figures.get(audit.figure, []))) == 1:
            assert audit.verdict == ("confirmed" if values[0] == audit.claimed else "undecided")
        elif values:
            better = "less" if audit.figure.endswith("loss") else "greater"
            worse = "greater" if better == "less" else "less"
            p_better = ttest_1samp(values, audit.claimed, alternative=better).pvalue
            p_worse = ttest_1samp(values, audit.claimed, alternative=worse).pvalue
            wanted = "confirmed" if p_better < 0.05 else "refuted" if p_worse < 0.05 else None
            assert audit.verdict == (wanted or "undecided")
            assert audit.test == "one-sample t"
        else:
            assert audit.verdict == "not measured"


CHEAP = [name for name in MEASURED if load_preset(name).reference.median_train_seconds < 30]


@pytest.mark.slow
@pytest.mark.parametrize("name", CHEAP)
def test_a_cheap_preset_gives_what_its_reference_says(name, cli, tmp_path) -> None:
    reference = load_preset(name).reference
    command = reference.command.split()
    seed = reference.seeds[0]
    options = ("--seed", seed, "--threads", 1, "--out", tmp_path, "--json", "-q", "--no-fail")
    record = json.loads(cli(*command[1:3], *options).out)
    distance = abs(record["test"]["accuracy"] - reference.mean_test_accuracy)
    assert distance <= 4 * reference.sd_test_accuracy


def test_who_meets_the_documents_goal_is_said() -> None:
    met = []
    for name in MEASURED:
        preset = load_preset(name)
        assert preset.reference
        small = preset.reference.parameters < 20_000
        if small and preset.reference.mean_test_accuracy >= 0.994 and preset.train.epochs < 20:
            met.append(f"`{name}`")
    said = re.search(r"is met on average by\n(.*?)\.\n", PAGE.read_text(), re.DOTALL)
    assert said
    assert set(re.findall(r"`[\w-]+`", said[1])) == set(met)


def test_whose_interval_includes_the_documents_goal_is_said() -> None:
    unclear = set()
    for name in MEASURED:
        known, preset = load_preset(name).reference, load_preset(name)
        assert known
        sample = Sample(known.mean_test_accuracy, known.sd_test_accuracy, len(known.seeds))
        interval = accuracy_interval(sample)
        assert interval
        if known.parameters < 20_000 and preset.train.epochs < 20:
            if interval[0] < 0.994 <= known.mean_test_accuracy:
                unclear.add(f"`{name}`")
    said = re.search(r"The 95 % intervals of (.*), 99.39 to 99.45 %, include", PAGE.read_text())
    assert said
    assert set(re.findall(r"`[\w-]+`", said[1])) == unclear


def test_every_documented_system_is_in_the_ledger() -> None:
    documented = {name for name in list_presets() if load_preset(name).published}
    assert documented <= set(MEASURED)
