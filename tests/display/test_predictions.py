import csv
import io

from mnistcli.display.predictions import predictions_as_csv, predictions_view
from mnistcli.records.documents import AnswerLimits
from mnistcli.records.evaluations import Prediction, PredictionsDocument
from tests.display.samples import drawn, make_images, row

LIMITS = AnswerLimits(min_confidence=0.5, min_similarity=0.7, images=3_000, measured_on="tests")


def make_prediction(file: str, position: int, confidence: float, similarity: float) -> Prediction:
    """Return the prediction of a 9, or else a 4 or a 5."""
    rest = 1 - confidence
    return Prediction(
        file=file,
        position=position,
        answer=9 if LIMITS.are_met(confidence, similarity) else None,
        predicted=9,
        confidence=confidence,
        similarity=similarity,
        probabilities=(0.0, 0.0, 0.0, 0.0, 0.6 * rest, 0.4 * rest, 0.0, 0.0, 0.0, confidence),
    )


def make_document(*predictions: Prediction) -> PredictionsDocument:
    return PredictionsDocument(run_id="x", answer_limits=LIMITS, predictions=predictions)


def test_a_prediction_has_confidence_and_runner_up() -> None:
    document = make_document(make_prediction("my [b]four.png", 1, 0.8, 0.9))
    lines = drawn(predictions_view(document, make_images(1)))
    assert lines[0].split() == ["image", "digit", "confidence", "runner-up"]
    assert row(lines, "my [b]four.png") == ["9", "80.0", "%", "4", "(12.0", "%)"]
    assert any("█" in line for line in lines)


def test_no_answer_has_its_reason() -> None:
    document = make_document(
        make_prediction("many.png", 1, 0.9, 0.9),
        make_prediction("many.png", 2, 0.45, 0.9),
        make_prediction("many.png", 3, 0.9, 0.6),
    )
    lines = drawn(predictions_view(document, make_images(3)))
    _, unsure, unlike = (line for line in lines if line.startswith("many.png"))
    assert unsure.split("  ")[-1].strip() == "9 (45.0 %) or 4 (33.0 %)"
    assert "don't know" in unsure
    assert unlike.split("–")[-1].strip() == "like no training image"
    assert " many.png reads 9??" in lines
    assert sum(line.count("don't know") for line in lines) == 4, "two rows, and two drawings"
    assert max(map(len, lines)) <= 80


def test_csv_has_a_row_a_digit_and_nothing_for_no_answer() -> None:
    name = 'a "b", c\n.png'
    document = make_document(make_prediction(name, 1, 0.9, 0.9), make_prediction(name, 2, 0.9, 0.6))
    one, other = csv.DictReader(io.StringIO(predictions_as_csv(document), newline=""))
    assert one == {
        "file": name, "position": "1", "digit": "9", "predicted": "9", "confidence": "0.9",
        "similarity": "0.9",
    }  # fmt: skip
    assert other == one | {"position": "2", "digit": "", "similarity": "0.6"}
