import pytest

from mnistcli.display import text
from tests.display.samples import make_check


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("parameters", 19_514, "19,514"),
        ("test_accuracy", 0.99436, "99.44 %"),
        ("phase_2_accuracy", 0.5, "50.00 %"),
        ("train_fraction", 0.2, "20.00 %"),
        ("train_seconds", 1_023.04, "1,023.0 s"),
        ("epochs", 4, "4"),
        ("epochs", 3.97333333, "3.973"),
        ("epochs", 4.0, "4.0"),
        ("test_loss", 0.0152, "0.0152"),
    ],
)
def test_a_figure_has_the_unit_of_its_kind(name: str, value: float, wanted: str) -> None:
    assert text.figure(name, value) == wanted


def test_counts_agree_with_their_number() -> None:
    assert [text.count(n, "epoch") for n in (0, 1, 2_000)] == [
        "0 epochs",
        "1 epoch",
        "2,000 epochs",
    ]


def test_sizes_and_p_values_are_short() -> None:
    assert [text.size(n) for n in (1_023, 1_024, 3 << 20)] == ["1,023 B", "1.0 KiB", "3.0 MiB"]
    assert [text.p_value(p) for p in (0.0009, 0.001, 0.5)] == ["<0.001", "0.001", "0.500"]


@pytest.mark.parametrize(
    ("verdicts", "wanted"),
    [
        ([], "pass"),
        (["pass", "pass"], "pass"),
        (["pass", "inconclusive"], "inconclusive"),
        (["inconclusive", "fail", "pass"], "fail"),
    ],
)
def test_the_worst_check_decides(verdicts: list[str], wanted: str) -> None:
    assert text.overall_verdict([make_check(verdict=word) for word in verdicts]) == wanted


def test_ten_digits_are_all() -> None:
    assert text.digit_names((0, 1, 7)) == "0 1 7"
    assert text.digit_names(range(10)) == "all"
