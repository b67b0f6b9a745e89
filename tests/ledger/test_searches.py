import json
from pathlib import Path

import pytest

from tests.ledger import searches
from tests.ledger.files import SEARCH_PAGE, read
from tests.ledger.searches import (
    MIN_REPEATS,
    SECONDS,
    add_searches,
    list_repeats,
    rows_of_hours,
    rows_of_searches,
)


def test_page_is_up_to_date() -> None:
    """If not, run python -m tests.ledger."""
    assert rows_of_searches() in SEARCH_PAGE.read_text()
    assert rows_of_hours() in SEARCH_PAGE.read_text()


def test_the_guide_says_how_many_searches_of_an_hour_passed() -> None:
    verdicts = [row.split("|")[-2].strip() for row in rows_of_hours().splitlines()[2:]]
    passed = verdicts.count("PASS")
    assert f"{passed} of {len(verdicts)} passed" in " ".join(SEARCH_PAGE.read_text().split())


def test_repeats_are_kept_once_and_tabled_when_there_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searches, "SEARCHES", tmp_path / "searches.json")
    rows = [
        {
            "method": method, "seed": seed, "seconds": float(SECONDS), "epochs": 6,
            "networks": 20 + seed, "total_seconds": 290.0 + seed,
            "accuracies": [0.99 + 0.001 * place, 0.991 + 0.0001 * seed],
        }
        for seed in range(MIN_REPEATS)
        for place, method in enumerate(searches.METHODS)
    ]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:-1]))
    add_searches([tmp_path / "rows.jsonl"])
    assert not rows_of_searches()
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[-2:]))
    add_searches([tmp_path / "rows.jsonl"])
    assert len(read(tmp_path / "searches.json")) == len(rows)
    assert [row["seed"] for row in list_repeats("tpe")] == [*range(MIN_REPEATS)]
    table = rows_of_searches().splitlines()
    assert "| `mnistcli search` | 22 | 6 | 290 to 294 | 99.06 ± 0.01 (5) |" in table[2]
    assert "+0.10 (" in table[4]
