import shlex

import pytest
from scipy.stats import ttest_rel

from mnistcli.preset.loading import load_preset
from mnistcli.verdict.stats import holm_adjust
from tests.ledger.ablation import ABLATION, ARMS, PRESET, accuracies_of, rows_of_ablation
from tests.ledger.files import PAGE, RUNS, read

CHANGED = [arm for arm in ARMS if arm != "affine"]


def test_page_is_up_to_date() -> None:
    """If not, run python -m tests.ledger."""
    assert rows_of_ablation() in PAGE.read_text()


@pytest.mark.parametrize("arm", CHANGED)
def test_an_arm_is_the_preset_but_for_its_augmentation(arm: str) -> None:
    entry, own = read(ABLATION)[arm], read(RUNS)[PRESET]
    command = shlex.split(entry["command"])
    assert command[:-2] == shlex.split(own["command"])
    kinds = [step.kind for step in load_preset(PRESET, command[-1:]).augment]
    assert kinds == ([] if arm == "none" else [arm])
    assert [run["seed"] for run in entry["runs"]] == [run["seed"] for run in own["runs"]]
    assert entry["versions"]["torch"] == own["versions"]["torch"]
    assert all(len(run["weights_sha256"]) == len(run["record_sha256"]) == 64
               for run in entry["runs"])  # fmt: skip


def test_so_many_times_the_errors_are_said() -> None:
    wrong = {arm: 1 - sum(accuracies_of(arm)) / len(accuracies_of(arm)) for arm in ARMS}
    left, top = (wrong[arm] / wrong["none"] for arm in ("horizontal_flip", "vertical_flip"))
    text = " ".join(PAGE.read_text().split())
    assert f"{left:.1f} times as many wrong answers left to right, and {top:.1f} times" in text


def test_verdicts_are_those_of_paired_tests_after_holm() -> None:
    none = accuracies_of("none")
    others = [arm for arm in ARMS if arm != "none"]
    p_values = holm_adjust([ttest_rel(accuracies_of(arm), none).pvalue for arm in others])
    rows = dict(zip(ARMS, rows_of_ablation().splitlines()[2:], strict=True))
    for arm, p in zip(others, p_values, strict=True):
        *_, difference, shown, verdict = rows[arm].rstrip(" |").split(" | ")
        middle = 100 * (sum(accuracies_of(arm)) - sum(none)) / len(none)
        assert difference.startswith(f"{middle:+.2f} (")
        assert shown == ("<0.001" if p < 0.001 else f"{p:.3f}")
        decided = "better" if middle > 0 else "worse"
        assert verdict == (decided if p < 0.05 else "no clear difference")
