import io

import numpy as np
from rich.console import Console

from mnistcli.display.evaluation import evaluation_view
from mnistcli.display.halfblocks import draw_images
from mnistcli.records.evaluations import DigitResult, EvaluationDocument


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
            DigitResult(digit=digit, total=6_742, correct=6_742, precision=0.5, recall=1.0)
            for digit in range(10)
        ),
        calibration=(),
        calibration_error=0.0,
        mistakes=(),
        images_per_second=123_456.0,
        milliseconds_per_image=0.1,
        weights_bytes=80_000,
        robustness=(),
        matches_record=None,
    )
    file = io.StringIO()
    Console(file=file, width=80).print(evaluation_view(document))
    rows = [line.split() for line in file.getvalue().splitlines() if line.strip()[:1].isdigit()]
    assert [tuple(map(int, row[1:11])) for row in rows] == list(confusion)
    assert [row[11:] for row in rows] == [["100.0", "50.0"]] * 10


def test_an_image_is_drawn_two_pixels_a_character() -> None:
    image = np.zeros((28, 28), dtype=np.uint8)
    image[2, 2] = image[3, 3] = image[4:6, 4] = 255
    lines = draw_images([image, image], ["one", "other"]).splitlines()
    assert lines[0] == " one                       other"
    assert lines[1] == " ▀▄                        ▀▄"
    assert lines[2] == "   █                         █"
    assert len(lines) == 13
    assert max(map(len, draw_images([image + 255] * 3, ["x"] * 3).splitlines())) <= 80
