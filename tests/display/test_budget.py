import pytest

from mnistcli.display.budget import check_table, format_limit, format_pair, select_figures
from mnistcli.preset.budget import Budget
from tests.display.samples import drawn, make_check, row


def test_checks_and_other_figures_stand_in_one_table() -> None:
    checks = [
        make_check("parameters", comparison="<", limit=20_000, value=20_000, verdict="fail"),
        make_check(verdict="inconclusive"),
        make_check("phase_1_accuracy"),
    ]
    figures = {"parameters": 20_000, "test_accuracy": 0.9944, "train_seconds": 7.0}
    lines = drawn(check_table(checks, figures))
    assert row(lines, "parameters") == ["20,000", "<", "20,000", "FAIL"]
    assert row(lines, "test accuracy") == ["99.44", "%", "≥", "99.00", "%", "INCONCLUSIVE"]
    assert row(lines, "training time") == ["7.0", "s", "–"]
    assert row(lines, "phase 1 accuracy")[-1] == "PASS"
    assert len(lines) == 6


def test_without_other_figures_there_are_only_checks() -> None:
    assert len(drawn(check_table([make_check()]))) == 3


@pytest.mark.parametrize(
    ("name", "limit", "shown"),
    [
        ("test_accuracy", 0.994, "99.40 %"), ("test_accuracy", 0.99945, "99.945 %"),
        ("test_accuracy", 1.0, "100.00 %"), ("train_fraction", 1 / 3, "33.3333333 %"),
        ("train_seconds", 60.0, "60.0 s"), ("train_seconds", 0.05, "0.05 s"),
        ("train_seconds", 1e-9, "0.000000001 s"), ("macs", 400_000, "400,000"),
        ("train_examples", 12_000, "12,000"), ("epochs", 20, "20"),
    ],
)  # fmt: skip
def test_a_limit_is_shown_with_all_of_its_digits(name: str, limit: float, shown: str) -> None:
    assert format_limit(name, "<=", limit) == f"≤ {shown}"


@pytest.mark.parametrize(
    ("limit", "shown"),
    [
        ({}, ["parameters", "train_fraction"]),
        ({"max_epochs": 5}, ["parameters", "train_fraction"]),
        ({"macs_below": 5}, ["parameters", "macs", "train_fraction"]),
        ({"max_train_fraction": 0.2}, ["parameters", "train_fraction"]),
        ({"train_examples_below": 5}, ["parameters", "train_examples"]),
    ],
)
def test_macs_are_shown_if_limited_and_the_data_as_limited(limit: dict, shown: list) -> None:
    figures = {"parameters": 1, "macs": 2, "train_fraction": 0.5, "train_examples": 3}
    assert list(select_figures(Budget(**limit), figures)) == shown


def test_names_from_a_foreign_record_are_no_markup() -> None:
    check = make_check("[/x]")
    lines = drawn(check_table([check], {"[red]y": 1.0}))
    assert any("[/x]" in line for line in lines)
    assert any("[red]y" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "value", "comparison", "limit", "shown"),
    [
        ("train_seconds", 10.03, "<=", 10.0, ("10.03 s", "≤ 10.00 s")),
        ("test_accuracy", 0.99398, ">=", 0.994, ("99.398 %", "≥ 99.400 %")),
        ("train_fraction", 0.20001, "<=", 0.2, ("20.001 %", "≤ 20.000 %")),
        ("test_accuracy", 0.994, ">=", 0.994, ("99.40 %", "≥ 99.40 %")),
        ("epochs", 4.027, "<=", 4, ("4.027", "≤ 4")),
    ],
)
def test_a_figure_and_its_limit_differ_where_they_do(
    name: str, value: float, comparison: str, limit: float, shown: tuple[str, str]
) -> None:
    assert format_pair(name, value, comparison, limit) == shown
