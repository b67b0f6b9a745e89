"""Run records → curves as CSV, one row per epoch."""

from collections.abc import Sequence

from mnistcli.display.spreadsheet import rows_as_csv
from mnistcli.records.documents import RunRecord

COLUMNS = (
    "run", "preset", "seed", "epoch", "train_loss", "train_accuracy", "validation_loss",
    "validation_accuracy", "learning_rate", "images", "seconds", "member",
)  # fmt: skip


def curves_as_csv(records: Sequence[RunRecord]) -> str:
    """Return CSV with fractions and seconds as in the record; missing figures are empty cells."""
    return rows_as_csv(
        COLUMNS,
        (
            (
                record.run_id,
                record.preset.name,
                record.seed,
                *(getattr(epoch, column) for column in COLUMNS[3:]),
            )
            for record in records
            for epoch in record.epochs
        ),
    )
