import csv
import io

from mnistcli.display.curves import COLUMNS, curves_as_csv
from tests.display.samples import make_epoch, make_run


def test_a_row_an_epoch_of_every_run() -> None:
    validated = make_epoch(1, validation_loss=0.25, validation_accuracy=0.875)
    records = [make_run(0), make_run(1, epochs=(validated,))]
    text = curves_as_csv(records)
    assert "\r" not in text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == list(COLUMNS)
    assert [(each["seed"], each["epoch"]) for each in rows] == [("0", "1"), ("0", "2"), ("1", "1")]
    assert rows[0]["validation_accuracy"] == ""
    assert (rows[2]["validation_accuracy"], rows[2]["train_loss"]) == ("0.875", "0.5")
