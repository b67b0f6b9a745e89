import io

from rich.console import Console

from mnistcli.display.tables import evaluation_view
from mnistcli.records.documents import DigitResult, EvaluationDocument


def test_a_full_matrix_of_60_000_images_fits_into_80_columns() -> None:
    confusion = tuple(
        tuple(6_742 if row == column else 1_000 + column for column in range(10))
        for row in range(10)
    )
    document = EvaluationDocument(
        run_id="run",
        preset="preset",
        split="train",
        data="MNIST",
        accuracy=0.5,
        correct=67_420,
        total=160_000,
        loss=0.1,
        interval=(0.4, 0.6),
        confusion=confusion,
        per_class=tuple(
            DigitResult(digit=digit, total=6_742, correct=6_742, accuracy=1.0)
            for digit in range(10)
        ),
        matches_record=None,
    )
    file = io.StringIO()
    Console(file=file, width=80).print(evaluation_view(document))
    rows = [line.split() for line in file.getvalue().splitlines() if line.strip()[:1].isdigit()]
    assert [tuple(map(int, row[1:11])) for row in rows] == list(confusion)
    assert [row[11] for row in rows] == ["100.00"] * 10
