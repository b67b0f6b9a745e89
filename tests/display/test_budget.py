from mnistcli.display.budget import check_table
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
