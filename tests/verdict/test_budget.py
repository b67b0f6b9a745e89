import pytest

from mnistcli.preset.budget import RULES, Budget
from mnistcli.records.sizes import IntegerSizes
from mnistcli.verdict.budget import check_budget, passed


@pytest.mark.parametrize(
    ("limit", "value", "verdict"),
    [
        ({"parameters_below": 20_000}, 19_999, "pass"),
        ({"parameters_below": 20_000}, 20_000, "fail"),
        ({"max_parameters": 20_000}, 20_000, "pass"),
        ({"max_parameters": 20_000}, 20_001, "fail"),
        ({"max_flash": 16_384}, 16_384, "pass"),
        ({"flash_below": 16_384}, 16_384, "fail"),
        ({"max_ram": 4_096}, 4_097, "fail"),
        ({"min_test_accuracy": 0.994}, 0.994, "pass"),
        ({"min_test_accuracy": 0.994}, 0.9939, "fail"),
        ({"epochs_below": 20}, 20, "fail"),
        ({"max_epochs": 20}, 20, "pass"),
        ({"train_seconds_below": 600.0}, 600.0, "fail"),
        ({"max_train_seconds": 600.0}, 600.0, "pass"),
        ({"max_train_fraction": 0.2}, 0.2, "pass"),
        ({"max_train_fraction": 0.2}, 0.21, "fail"),
    ],
)
def test_a_limit_is_met_or_not(limit: dict, value: float, verdict: str) -> None:
    (name,) = limit
    figure = next(rule.figure for rule in RULES if rule.field == name)
    (check,) = check_budget(Budget(**limit), {figure: value})
    assert (check.name, check.value, check.verdict) == (figure, value, verdict)
    assert passed((check,)) is (verdict == "pass")


def test_every_limit_of_a_budget_is_checked() -> None:
    assert {rule.field for rule in RULES} == set(Budget.model_fields)


@pytest.mark.parametrize(
    ("flash", "ram", "verdicts"),
    [
        (16_384, 4_096, ["inconclusive", "inconclusive"]),
        (16_385, 4_096, ["fail", "inconclusive"]),
        (1, 4_097, ["inconclusive", "fail"]),
        (None, None, ["inconclusive", "inconclusive"]),
    ],
)
def test_bytes_before_an_export_can_fail_but_not_pass(
    flash: int | None, ram: int | None, verdicts: list[str]
) -> None:
    budget = Budget(max_flash=16_384, max_ram=4_096)
    sizes = IntegerSizes(constants=flash, memory=ram, fault=None if flash else "layer 5 attention")
    checks = check_budget(budget, {}, sizes)
    assert [(check.name, check.value) for check in checks] == [("flash", flash), ("ram", ram)]
    assert [check.verdict for check in checks] == verdicts
    for check in checks:
        reason = check.reason or ""
        assert bool(reason) is (check.verdict == "inconclusive")
        assert (
            not reason or ("mnistcli export RUN --to c --target" if flash else "layer 5") in reason
        )
    measured = check_budget(budget, {"flash": 16_384, "ram": 5_000}, sizes)
    assert [check.verdict for check in measured] == ["pass", "fail"]


def test_what_is_not_limited_or_not_known_is_not_checked() -> None:
    assert check_budget(Budget(), {"parameters": 5}) == ()
    assert check_budget(Budget(max_parameters=5), {"epochs": 5}) == ()


def test_only_a_pass_has_passed() -> None:
    (check,) = check_budget(Budget(max_parameters=5), {"parameters": 5})
    assert passed((check,))
    assert passed(())
    for verdict in ("fail", "inconclusive"):
        assert not passed((check, check.model_copy(update={"verdict": verdict})))
