from pathlib import Path

import pytest

from tests.ledger import precision
from tests.ledger.files import PAGE
from tests.ledger.precision import add_precision, rows_of_precision


def test_page_is_up_to_date() -> None:
    """If not, run python -m tests.ledger."""
    assert rows_of_precision() in PAGE.read_text()


def test_runs_are_paired_by_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "PRECISION", tmp_path / "precision.json")
    for name, correct, seconds in (
        ("float32", [9_900, 9_920, 9_910], 10.0), ("bfloat16", [9_911, 9_930, 9_920, 1], 6.0),
    ):  # fmt: skip
        add_precision([
            {
                "preset": {"name": "x"}, "precision": name, "seed": seed, "train_seconds": seconds,
                "test": {"correct": right, "total": 10_000, "loss": 0.1}, "weights_sha256": "",
                "epochs": [{"train_accuracy": 1.0, "train_loss": 0.0}],
            }
            for seed, right in enumerate(correct)
        ])  # fmt: skip
    row = rows_of_precision().splitlines()[2]
    assert row.startswith("| `x` | 99.10 ± 0.10 (3) | 99.20 ± 0.10 (3) | +0.10 (+0.09…+0.12) |")
    assert row.endswith("| helps | × 0.60 |")
