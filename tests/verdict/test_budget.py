import pytest

from mnistcli.preset.budget import RULES, Budget
from mnistcli.records.sizes import IntegerSizes
from mnistcli.verdict.budget import (
    HELD_OUT,
    check_budget,
    check_limit,
    check_phases,
    check_record,
    passed,
)
from tests.display.samples import SPRINT, make_phase, make_run


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


@pytest.mark.parametrize("stream", [True, False])
def test_only_ram_that_was_counted_by_rows_is_measured_by_rows(stream: bool) -> None:
    sizes = IntegerSizes(constants=10, memory=10, stream=stream, fault=None)
    flash, ram = check_budget(Budget(max_flash=16_384, max_ram=4_096), {}, sizes)
    command = "`mnistcli export RUN --to c{} --target DEVICE` measures it"
    assert flash.reason == f"without code; {command.format('')}"
    assert ram.reason == f"without stack; {command.format(' --stream' if stream else '')}"


def test_what_is_not_limited_or_not_known_is_not_checked() -> None:
    assert check_budget(Budget(), {"parameters": 5}) == ()
    assert check_budget(Budget(max_parameters=5), {"epochs": 5}) == ()


def test_only_a_pass_has_passed() -> None:
    (check,) = check_budget(Budget(max_parameters=5), {"parameters": 5})
    assert passed((check,))
    assert passed(())
    for verdict in ("fail", "inconclusive"):
        assert not passed((check, check.model_copy(update={"verdict": verdict})))


def test_a_record_is_checked_against_its_budget_and_its_phases() -> None:
    budget = SPRINT.budget
    found = check_record(make_run(phases=(make_phase(1), make_phase(2, target=None))))
    assert {check.name for check in found} == {
        *(limit.figure for limit in budget.limits), "phase_1_accuracy"
    }  # fmt: skip
    assert passed(found)
    accuracy = next(check for check in found if check.name == "test_accuracy")
    assert (accuracy.value, accuracy.limit) == (0.9944, budget.min_test_accuracy)


def test_held_out_images_leave_the_test_accuracy_open() -> None:
    data = make_run().data.model_copy(update={"evaluated_on": "held-out"})
    found = {check.name: check for check in check_record(make_run(data=data))}
    limit = next(limit for limit in SPRINT.budget.limits if limit.figure == "test_accuracy")
    check = found["test_accuracy"]
    assert (check.comparison, check.limit) == (limit.comparison, limit.value)
    assert (check.value, check.verdict, check.reason) == (None, "inconclusive", HELD_OUT)
    others = [check for name, check in found.items() if name != "test_accuracy"]
    assert [check.verdict for check in others] == ["pass"] * (len(SPRINT.budget.limits) - 1)


@pytest.mark.parametrize(
    ("accuracy", "verdict"), [(0.95, "pass"), (0.9499, "fail"), (None, "fail")]
)
def test_a_phase_meets_its_target_or_not(accuracy: float | None, verdict: str) -> None:
    (check,) = check_phases([make_phase(3, own_accuracy=accuracy), make_phase(4, target=None)])
    assert (check.name, check.comparison, check.limit) == ("phase_3_accuracy", ">=", 0.95)
    assert (check.value, check.verdict) == (accuracy or 0.0, verdict)


def test_a_check_has_what_it_compares() -> None:
    check = check_limit("seconds", 3.5, "<=", 4.0)
    assert (check.name, check.comparison, check.limit, check.value, check.verdict) == (
        "seconds", "<=", 4.0, 3.5, "pass"
    )  # fmt: skip
    assert check.reason is None
