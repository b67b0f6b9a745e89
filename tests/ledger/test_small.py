import json
from pathlib import Path

import pytest

from mnistcli.preset.loading import load_preset
from mnistcli.verdict.stats import Sample
from tests.ledger import studies
from tests.ledger.files import SMALL_PAGE, SMALL_PLOT, STUDIES, read
from tests.ledger.small import (
    BYTES,
    PARAMETERS,
    SMALL,
    WEIGHTS,
    Measured,
    Published,
    fingerprint,
    judge,
    measure,
    rows_of_bytes,
    rows_of_smallest,
)
from tests.ledger.studies import add_study, rows_of_study


def test_page_and_plot_are_up_to_date() -> None:
    """If not, run python -m tests.ledger."""
    page = SMALL_PAGE.read_text()
    assert rows_of_smallest() in page
    assert rows_of_bytes() in page
    for study in read(STUDIES).values():
        assert rows_of_study(study) in page
    assert fingerprint() in SMALL_PLOT.read_text()


def test_sizes_are_those_of_the_built_networks() -> None:
    assert {one.preset.name: one.size for one in measure(["sprint", "cortex-m0-16k"])} == {
        "sprint": 19_514, "cortex-m0-16k": 10_088,
    }  # fmt: skip
    for one in measure(SMALL):
        assert one.size < (one.preset.budget.parameters_below or 0)
        assert len(one.preset.reference.seeds) >= 10  # type: ignore[union-attr]
    assert all(len(one.preset.reference.seeds) >= 5 for one in measure(BYTES))  # type: ignore[union-attr]


def test_published_figures_are_sorted_by_size() -> None:
    for published in (PARAMETERS, WEIGHTS):
        assert [*published] == sorted(published, key=lambda one: one.size)
        assert all(0.98 < one.accuracy < 1 for one in published)


@pytest.mark.parametrize(
    ("published", "verdict"),
    [(0.992, "better"), (0.995, "no clear difference"), (0.998, "lower")],
)
def test_better_is_said_only_where_the_interval_is_above(published: float, verdict: str) -> None:
    own = Measured(load_preset("sprint"), 19_514, Sample.of([0.994, 0.995, 0.996]))
    assert judge(own, Published(20_000, published)) == verdict


def test_a_study_is_kept_and_tabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studies, "STUDIES", tmp_path / "studies.json")
    arms = [
        {
            "name": name, "accuracies": [0.99 + gain, 0.991 + gain, 0.9905 + 1.1 * gain],
            "train_seconds": 10.0 + place, "parameters": 700 + place, "overrides": [name],
        }
        for place, (name, gain) in enumerate((("base", 0.0), ("wide", 0.002)))
    ]  # fmt: skip
    document = {
        "base": arms[0], "arms": arms[1:], "seeds": [0, 1, 2], "evaluated_on": "held-out",
        "evaluated_images": 10_000, "device": "cpu", "precision": "float32", "threads": 1,
        "cpu": "AVX2", "preset": {"name": "x"},
    }  # fmt: skip
    (tmp_path / "study.json").write_text(json.dumps(document))
    add_study("widths", tmp_path / "study.json")
    lines = rows_of_study(read(tmp_path / "studies.json")["widths"]).splitlines()
    assert lines[0].startswith("| arm | held-out accuracy, % |")
    assert lines[2].startswith("| base | 99.05 ± 0.05 (3) |")
    assert lines[3].startswith("| wide | 99.26 ± 0.05 (3) | +0.21 (")
    assert "| helps | × 1.10 | 701 |" in lines[3]
