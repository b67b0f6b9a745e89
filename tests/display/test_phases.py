from rich.console import Group

from mnistcli.display.phases import orders_view, phase_views
from mnistcli.records.comparisons import ArmResult, CurriculumComparison
from tests.display.samples import SPRINT, drawn, make_difference, make_phase, make_run, row


def shown(*phases: object) -> list[str]:
    run = make_run(phases=phases, phases_evaluated_on="training images not learned from")
    return drawn(Group(*phase_views(run)))


def test_phases_have_targets_verdicts_and_a_retention_matrix() -> None:
    lines = shown(
        make_phase(1, own_accuracy=0.94),
        make_phase(2, target=None, own_accuracy=None, seen_accuracy=None, digits=tuple(range(10))),
    )
    assert row(lines, "phase 1")[-7:] == ["94.00", "%", "97.00", "%", "95.00", "%", "FAIL"]
    assert row(lines, "phase 2") == ["all", "12,000", "940", "0.250", "–", "–", "–"]
    after = lines.index(next(line for line in lines if line.startswith("after")))
    assert lines[after + 2].split() == ["phase", "1", *["98.0"] * 9, "–"]
    assert lines[-1] == " accuracy after each phase, on training images not learned from"


def test_forgetting_is_a_fall_of_more_than_five_points_before_the_last_phase() -> None:
    kept = make_phase(1, own_accuracy=0.98, final_own_accuracy=0.935)
    lost = make_phase(2, own_accuracy=0.98, final_own_accuracy=0.10)
    last = make_phase(3, own_accuracy=0.98, final_own_accuracy=0.10)
    assert shown(kept, lost, last)[-1] == " forgotten in later phases: 2 3: 98.00 % → 10.00 %"
    assert "forgotten" not in "\n".join(shown(kept, last))


def test_the_widest_phases_fit() -> None:
    lines = shown(
        *(
            make_phase(number, name=f"a long name of phase {number}", digits=(0, 1, 2, 3, 4, 5, 6),
                       own_accuracy=1.0, seen_accuracy=1.0, target=1.0,
                       digit_accuracies=(1.0,) * 10)
            for number in (1, 2)
        )
    )  # fmt: skip
    assert sum("PASS" in line for line in lines) == 2


def test_orders_are_compared_with_the_curriculum() -> None:
    arms = [
        ArmResult(
            name=name, steps=12_345, images=1_234_567, accuracies=(0.99, 0.98),
            mean_accuracy=0.985, sd=0.0071, interval=(0.98, 0.99), train_seconds=1_023.04,
            difference=difference,
        )
        for name, difference in (
            ("curriculum", None),
            ("none", make_difference(-0.1234)),
            ("random", make_difference(0.001, verdict="better", adjusted_p_value=0.02)),
            ("reversed", make_difference(verdict="no clear difference", adjusted_p_value=1.0)),
        )
    ]  # fmt: skip
    lines = drawn(
        orders_view(
            CurriculumComparison(
                preset=SPRINT,
                evaluated_on="validation",
                seeds=(0, 1),
                train_examples=60_000,
                device="cpu",
                precision="float32",
                threads=1,
                cpu="AVX2",
                arms=tuple(arms),
                path="runs/x",
            )  # fmt: skip
        )
    )
    assert lines[0] == "sprint · 12,345 steps per run · 2 seeds · validation accuracy"
    assert row(lines, "curriculum ")[:5] == ["1,234,567", "1,023", "s", "98.50", "0.71"]
    assert row(lines, "none")[-5:] == ["-12.34", "-12.44", "-12.24", "<0.001", "worse"]
    assert row(lines, "random")[-5:] == ["+0.10", "+0.00", "+0.20", "0.020", "better"]
    assert row(lines, "reversed")[-1] == "unclear"
    assert lines[-1] == " written to runs/x"
