import json
from pathlib import Path

import pytest
from scipy.stats import ttest_rel

from mnistcli.preset.arms import BASE, Base, load_arms, read_arms
from mnistcli.verdict.stats import holm_adjust
from tests.ledger import steps
from tests.ledger.files import PAGE, STEPS, read
from tests.ledger.steps import (
    ARMS,
    MIN_SEEDS,
    NAMES,
    add_steps,
    list_arms,
    rows_of_steps,
    summarize,
)


@pytest.mark.parametrize("preset", NAMES)
def test_every_step_is_an_arm_of_its_own(preset: str) -> None:
    arms, mistakes = read_arms(ARMS / f"{preset}.toml")
    assert not mistakes
    presets, invalid = load_arms(Base(preset), arms)
    assert not invalid
    assert len(presets) == len(arms) + 1
    assert all(arm.title.endswith(".") for arm in arms)


@pytest.mark.parametrize("preset", read(STEPS))
def test_kept_trials_are_of_the_arms_as_they_were_fixed(preset: str) -> None:
    wanted = {arm.name: list(arm.overrides) for arm in read_arms(ARMS / f"{preset}.toml")[0]}
    for seed in read(STEPS)[preset].values():
        assert {name: arm["overrides"] for name, arm in seed["arms"].items()} == {BASE: []} | wanted


def test_page_is_up_to_date() -> None:
    """If not, run python -m tests.ledger."""
    assert rows_of_steps() in PAGE.read_text()


def test_verdicts_are_those_of_paired_tests_after_holm() -> None:
    for preset, seeds in read(STEPS).items():
        if len(seeds) < MIN_SEEDS:
            continue
        names = [name for name in list_arms(preset) if name != BASE]
        table = {
            name: [seed["arms"][name]["accuracy"] for seed in seeds.values()]
            for name in [BASE, *names]
        }
        tested = holm_adjust([ttest_rel(table[name], table[BASE]).pvalue for name in names])
        found = summarize(preset)
        for name, p_value in zip(names, tested, strict=True):
            assert found[name].difference.adjusted_p_value == pytest.approx(p_value)  # type: ignore[union-attr]


def test_trials_are_kept_seed_by_seed_and_tabled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "STEPS", tmp_path / "steps.json")
    names = list_arms("journey-v1")
    for seed in range(5):
        arms = [
            {
                "name": name, "accuracies": [0.99 + 0.001 * number + 0.0001 * (seed * number % 3)],
                "train_seconds": 10.0 * (number + 1), "parameters": 1_000, "macs": 5,
                "overrides": [],
            }
            for number, name in enumerate(names)
        ]  # fmt: skip
        document = {
            "preset": {"name": "journey-v1"}, "seeds": [seed], "base": arms[0], "arms": arms[1:],
            "device": "cpu", "precision": "float32", "threads": 1, "cpu": "AVX2",
        }  # fmt: skip
        add_steps(json.loads(json.dumps(document)))
    found = summarize("journey-v1")
    assert found["dropout"].difference is not None
    assert found["dropout"].difference.mean == pytest.approx(0.002, abs=1e-4)
    rows = rows_of_steps().splitlines()
    assert rows[0].startswith("| on `journey-v1` |")
    assert len(rows) == 2 + len(names) + 4
    assert rows[2].startswith("| the preset | 99.00 ± 0.00 (5) |")
    assert "| helps | × 3.00 | 1,000 |" in rows[4]
