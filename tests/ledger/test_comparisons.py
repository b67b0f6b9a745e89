import re
from statistics import mean, stdev

import pytest
from scipy.stats import ttest_rel

from mnistcli.verdict.stats import holm_adjust
from tests.ledger.comparisons import (
    CORESETS,
    ORDERS,
    RIVALS,
    against_random,
    rows_of_coresets,
    rows_of_orders,
)
from tests.ledger.files import COMPARISONS, CORESETS_PAGE, CURRICULA_PAGE, read

KEPT = read(COMPARISONS)
TEXT = " ".join(CORESETS_PAGE.read_text().split())


def adjusted(p_values: dict[str, float]) -> dict[str, float]:
    return dict(zip(p_values, holm_adjust(list(p_values.values())), strict=True))


@pytest.mark.parametrize(
    ("page", "rows"), [(CORESETS_PAGE, rows_of_coresets), (CURRICULA_PAGE, rows_of_orders)]
)
def test_page_is_up_to_date(page, rows) -> None:
    """If not, run python -m tests.ledger."""
    assert rows() in page.read_text()


@pytest.mark.parametrize("entry", KEPT.values(), ids=KEPT)
def test_every_arm_has_a_run_of_every_seed(entry: dict) -> None:
    assert len(entry["document_sha256"]) == 64
    assert {len(values) for values in entry["arms"].values()} == {len(entry["seeds"])}


def test_methods_beat_random_by_adjusted_paired_tests() -> None:
    arms = KEPT[CORESETS]["arms"]
    others = [arm for arm in arms if not arm.startswith("random ")]
    assert len(others) == 36
    p_values = adjusted(
        {arm: ttest_rel(arms[arm], arms[f"random {arm.split()[1]}"]).pvalue for arm in others}
    )
    rows = rows_of_coresets().splitlines()[2:]
    for row in rows[1:]:
        method, *cells = row.strip("| ").split(" | ")
        for size, cell in zip((12_000, 3_000, 600), cells, strict=False):
            arm = f"{method.strip('`')} {size}"
            gain = mean(arms[arm]) - mean(arms[f"random {size}"])
            sign = " **better**" if gain > 0 else " worse"
            assert cell.endswith(sign if p_values[arm] < 0.05 else ")"), arm
            assert cell.startswith(f"{100 * mean(arms[arm]):.2f}: {100 * gain:+.2f} "), arm


def test_orders_are_compared_by_adjusted_paired_tests() -> None:
    for title, row in zip(ORDERS, rows_of_orders().splitlines()[2:], strict=True):
        arms = KEPT[title]["arms"]
        there = [rival for rival in RIVALS if rival in arms]
        wanted = adjusted({one: ttest_rel(arms["curriculum"], arms[one]).pvalue for one in there})
        shown = re.findall(r"p ([<=]) ([\d.]+)", row)
        for (sign, value), rival in zip(shown, there, strict=True):
            if sign == "<":
                assert wanted[rival] < float(value)
            else:
                assert wanted[rival] == pytest.approx(float(value), abs=0.0006)


def test_figures_in_the_text_are_those_of_the_runs() -> None:
    sprint, best = KEPT["coresets of sprint"], "entropy 12000"
    found = against_random(sprint)[best]
    everything = KEPT[CORESETS]["everything"]
    assert f"All 60,000 images in as many steps: {100 * mean(everything):.2f} %" in TEXT
    values = sprint["arms"][best], sprint["arms"]["random 12000"], sprint["everything"]
    own, random, whole = (f"{100 * mean(one):.2f} %" for one in values)
    own_sd, _, whole_sd = (f"{100 * stdev(one):.2f}" for one in values)
    low, high = found.interval
    assert f"on 12,000 images reaches {own} (sd {own_sd}), `random` {random}" in TEXT
    gain = f"gain {100 * found.mean:+.2f}, {100 * low:+.2f} … {100 * high:+.2f}"
    assert f"{gain}, p = {found.adjusted_p_value:.3f}" in TEXT
    assert f"all 60,000 images {whole} (sd {whole_sd})" in TEXT
    held_out = KEPT["coresets, held out"]
    found = against_random(held_out)[best]
    assert held_out["evaluated_on"] == "validation"
    own, random = (100 * mean(held_out["arms"][arm]) for arm in (best, "random 12000"))
    low, high = found.interval
    gain = f"{100 * found.mean:+.2f}, {100 * low:+.2f} … {100 * high:+.2f}"
    assert f"{own:.2f} % against {random:.2f} % ({gain})" in TEXT
