import numpy as np
import pytest

from mnistcli.errors import ExitCode
from mnistcli.records.comparisons import FailedRun
from mnistcli.records.documents import RunRecord
from mnistcli.verdict.several import check_mean, count_additional_seeds, summarize_runs
from mnistcli.verdict.stats import Sample, student_interval
from tests.display.samples import make_check, make_run


def test_so_many_more_seeds_do_decide() -> None:
    values = [0.993, 0.995, 0.994, 0.996, 0.992]
    limit = 0.9935
    missing = count_additional_seeds(values, limit)
    assert missing is not None
    assert missing > 0
    # Values with the same mean and spread, so many of them: the limit is outside the interval.
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=len(values) + missing)
    alike = np.mean(values) + (drawn - drawn.mean()) / drawn.std(ddof=1) * np.std(values, ddof=1)
    low, high = student_interval(Sample.of(list(alike)))
    assert not low <= limit <= high


def test_a_mean_on_the_limit_is_never_decided() -> None:
    assert count_additional_seeds([0.1, 0.3], 0.2) is None


def test_where_it_is_decided_none_is_missing() -> None:
    assert count_additional_seeds([0.5, 0.501, 0.499], 0.1) == pytest.approx(0)


def make_runs(
    values: list[float | None], limit: float = 0.99, **changes: object
) -> list[RunRecord]:
    """Runs that differ in the value of their second check; the first is the same in all."""
    same = make_check("parameters", comparison="<", limit=20_000, value=19_514)
    return [
        make_run(
            seed,
            checks=(same, make_check(limit=limit, value=value, **changes)),
            test=make_run().test.model_copy(update={"accuracy": value or 0.0}),
            train_seconds=1.0 + seed,
        )
        for seed, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("comparison", "limit", "verdict"),
    [
        (">=", 0.990, "pass"), (">=", 0.998, "fail"), (">=", 0.9944, "inconclusive"),
        ("<=", 0.998, "pass"), ("<=", 0.990, "fail"), ("<=", 0.9944, "inconclusive"),
        ("<", 0.998, "pass"), ("<", 0.990, "fail"), ("<", 0.9944, "inconclusive"),
    ],
)  # fmt: skip
def test_the_whole_interval_decides(comparison: str, limit: float, verdict: str) -> None:
    runs = make_runs([0.9940, 0.9944, 0.9946], limit, comparison=comparison)
    same, check = check_mean(runs)
    assert check.value == pytest.approx(0.99433, abs=1e-5)
    assert check.verdict == verdict
    assert (same.value, same.verdict) == (19_514, "pass")


@pytest.mark.parametrize(("limit", "verdict"), [(0.994, "pass"), (0.9941, "fail")])
@pytest.mark.parametrize("count", [1, 3])
def test_a_value_that_is_the_same_in_all_runs_needs_no_interval(
    count: int, limit: float, verdict: str
) -> None:
    _, check = check_mean(make_runs([0.994] * count, limit, verdict="fail"))
    assert (check.value, check.verdict) == (0.994, verdict)


def test_two_runs_with_a_spread_are_judged_by_their_interval() -> None:
    _, check = check_mean(make_runs([0.994, 0.996], 0.9939))
    assert check.verdict == "inconclusive", "one more digit would be luck"


def test_what_a_run_leaves_open_stays_open() -> None:
    runs = make_runs([0.994, 0.996, 0.995], 0.99, verdict="inconclusive", reason="held out")
    _, check = check_mean(runs)
    assert (check.verdict, check.value, check.reason) == ("inconclusive", 0.994, "held out")
    assert summarize_runs(runs).summary.additional_seeds_needed is None


def test_runs_without_the_value_are_left_out() -> None:
    _, check = check_mean(make_runs([0.994, None, 0.994], 0.99, verdict="fail"))
    assert (check.value, check.verdict) == (0.994, "pass")
    _, check = check_mean(make_runs([None, None], 0.99, verdict="fail"))
    assert (check.value, check.verdict) == (None, "fail")


def test_a_summary_has_the_figures_of_its_runs() -> None:
    values = [0.9940, 0.9944, 0.9946]
    document = summarize_runs(make_runs(values, 0.99))
    summary = document.summary
    assert summary.preset == "sprint"
    assert summary.seeds == (0, 1, 2)
    assert summary.mean_test_accuracy == pytest.approx(np.mean(values))
    assert summary.sd_test_accuracy == pytest.approx(np.std(values, ddof=1))
    assert summary.interval == pytest.approx(student_interval(Sample.of(values)))
    assert summary.min_test_accuracy == 0.9940
    assert summary.median_train_seconds == 2.0
    assert summary.additional_seeds_needed is None
    assert document.passed
    assert [run.seed for run in document.runs] == [0, 1, 2]
    assert document.failed == ()


def test_a_run_that_failed_is_no_pass() -> None:
    failed = FailedRun(seed=9, exit_code=ExitCode.DIVERGED, reason="x", path="y")
    document = summarize_runs(make_runs([0.994, 0.994]), [failed])
    assert not document.passed
    assert document.failed == (failed,)
    assert all(check.verdict == "pass" for check in document.checks)


def test_the_seeds_for_the_hardest_open_check_are_named() -> None:
    values = [0.9930, 0.9950, 0.9940, 0.9960, 0.9920]
    near, far = 0.99395, 0.9935
    runs = [
        run.model_copy(update={"checks": (*run.checks, make_check("train_accuracy", limit=far,
                                                                  value=run.checks[1].value))})
        for run in make_runs(values, near)
    ]  # fmt: skip
    needed = [count_additional_seeds(values, limit) for limit in (near, far)]
    assert needed[1] is not None
    if needed[0] is None:
        assert summarize_runs(runs).summary.additional_seeds_needed is None
    else:
        assert needed[0] > needed[1]
        assert summarize_runs(runs).summary.additional_seeds_needed == needed[0]
    easy = make_runs(values, far)
    assert summarize_runs(easy).summary.additional_seeds_needed == needed[1]
    impossible = [
        run.model_copy(update={"checks": (*run.checks, make_check("train_accuracy", limit=0.994,
                                                                  value=run.checks[1].value))})
        for run in easy
    ]  # fmt: skip
    assert summarize_runs(impossible).summary.additional_seeds_needed is None


def test_a_single_run_needs_others_to_have_an_interval() -> None:
    assert count_additional_seeds([0.5], 0.4) == 1
    assert count_additional_seeds([0.5, 0.51], 0.1) == 0
    assert count_additional_seeds([0.499, 0.501], 0.5 + 1e-9) is None
