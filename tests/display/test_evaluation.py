import io

import numpy as np
import pytest
from rich.console import Console

from mnistcli.display.evaluation import evaluation_view, evaluations_view
from mnistcli.display.halfblocks import draw_images
from mnistcli.records.evaluations import (
    DigitResult,
    Ensemble,
    EvaluationDocument,
    EvaluationsDocument,
    Robustness,
)
from tests.display.samples import drawn, make_images, metric_fields, row

ROBUSTNESS = (
    Robustness(
        distortion="rotation", unit="degrees", strengths=(10, 20, 30, 45),
        accuracies=(1.0, 1.0, 0.5, 0.25),
    ),
)  # fmt: skip


def make_document(**changes: object) -> EvaluationDocument:
    fields = {
        "run_id": "sprint-20260101-000000-s0", "preset": "sprint", "split": "test",
        "data": "MNIST", "images_per_second": 123_456.0, "milliseconds_per_image": 0.123,
        "weights_bytes": 80_000, "robustness": (), "matches_record": None,
    }  # fmt: skip
    return EvaluationDocument.model_validate(metric_fields() | fields | changes)


def test_one_run_has_accuracy_speed_matrix_calibration_and_mistakes() -> None:
    lines = drawn(evaluation_view(make_document(), list(make_images(2))))
    assert lines[0] == "sprint-20260101-000000-s0 · test · MNIST"
    text = "\n".join(lines)
    assert "99.98 %   9,998 of 10,000 correct   95 % interval 99.27 – 99.57 %" in text
    assert "loss 0.0213   calibration error 1.48 %   weights 78.1 KiB" in text
    assert "speed 123,456 images/s, 0.12 ms for a single image" in text
    assert row(lines, "4 ") == [*"····", "999", *"····", "1", "99.9", "100.0"]
    assert "50 – 100 %   10,000            98.5 %    100.0 %" in text
    assert "0 – 50 %" not in text
    assert " worst of 2 mistakes (true digit → prediction)" in lines
    assert "#1234: 4 → 9" in text
    assert "record" not in text


@pytest.mark.parametrize(("matches", "note"), [(True, "agrees with"), (False, "differs from")])
def test_the_record_is_checked(matches: bool, note: str) -> None:
    document = make_document(matches_record=matches)
    assert drawn(evaluation_view(document))[-1] == f" {note} the run's record"


def test_robustness_has_a_line_a_distortion() -> None:
    lines = drawn(evaluation_view(make_document(robustness=ROBUSTNESS)))
    assert lines[-1] == (
        " rotation    10: 100.0 %   20: 100.0 %   30:  50.0 %   45:  25.0 %  degrees"
    )


def test_several_runs_have_a_row_each_and_the_ensemble() -> None:
    runs = (make_document(), make_document(run_id="other", robustness=ROBUSTNESS))
    ensemble = Ensemble.model_validate(metric_fields() | {"runs": ("a", "b")})
    lines = drawn(evaluations_view(EvaluationsDocument(runs=runs, ensemble=ensemble)))
    figures = ["9,998", "99.98", "%", "99.27", "–", "99.57", "0.0213", "1.48", "%"]
    assert row(lines, "other") == figures
    assert row(lines, "ensemble of 2") == figures
    assert lines[-2:][0] == "other"


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
