import pytest

from mnistcli.verdict.paired import compare_pairs, decide, name_effect, summarize_arms

BASE = [0.90, 0.91, 0.92]
BETTER = [0.95, 0.955, 0.97]
SAME = [0.901, 0.909, 0.921]


def test_an_arm_is_summarized_over_its_seeds() -> None:
    found = summarize_arms({"base": BASE}, {})["base"]
    assert found.accuracies == (0.90, 0.91, 0.92)
    assert found.mean_accuracy == pytest.approx(0.91)
    assert found.sd == pytest.approx(0.01)
    # Student's t with two degrees of freedom: 4.3027.
    half = 4.302652729911275 * 0.01 / 3**0.5
    assert found.interval == pytest.approx((0.91 - half, 0.91 + half))
    assert found.difference is None


def test_p_values_are_adjusted_for_all_pairs_of_a_study() -> None:
    arms = {"base": BASE, "better": BETTER, "same": SAME}
    found = summarize_arms(arms, {"better": ("better", "base"), "same": ("base", "same")})
    better, same = found["better"].difference, found["same"].difference
    assert better.mean == pytest.approx(0.145 / 3)
    assert same.mean == pytest.approx(-0.001 / 3)
    assert better.adjusted_p_value == pytest.approx(2 * better.p_value)
    assert same.adjusted_p_value == same.p_value
    alone = compare_pairs({"better": (BETTER, BASE)})["better"]
    assert alone.adjusted_p_value == alone.p_value == better.p_value
    assert alone.verdict == "better"


def test_a_single_seed_has_no_difference() -> None:
    found = summarize_arms({"a": [0.9], "b": [0.8]}, {"a": ("a", "b")})
    assert found["a"].difference is None
    assert found["a"].interval is None
    assert found["a"].sd == 0


def test_a_verdict_needs_a_small_p() -> None:
    assert decide(0.1, 0.01) == "better"
    assert decide(-0.1, 0.01) == "worse"
    assert decide(0.1, 0.05) == "no clear difference"


def test_a_seed_at_which_one_diverged_is_no_pair() -> None:
    arms = {"base": [0.90, None, 0.92, 0.93], "arm": [0.95, 0.955, 0.96, None]}
    found = summarize_arms(arms, {"arm": ("arm", "base")})
    assert found["arm"].difference == compare_pairs({0: ([0.95, 0.96], [0.90, 0.92])})[0]
    assert found["base"].mean_accuracy == pytest.approx(2.75 / 3)
    nothing = summarize_arms({"base": [0.9, 0.8], "arm": [None, None]}, {"arm": ("arm", "base")})
    assert nothing["arm"].mean_accuracy is nothing["arm"].sd is nothing["arm"].interval is None
    assert nothing["arm"].difference is None


def test_an_effect_is_one_word() -> None:
    arms = {"base": BASE, "good": BETTER, "bad": [0.8, 0.805, 0.82], "same": SAME}
    arms |= {"alone": [0.9, None, None]}
    found = summarize_arms(arms, {name: (name, "base") for name in list(arms)[1:]})
    assert {name: name_effect(summary) for name, summary in found.items()} == {
        "base": None, "good": "helps", "bad": "hurts", "same": "no clear difference",
        "alone": "diverges",
    }  # fmt: skip
