import json
from statistics import mean, stdev

import pytest
from scipy.stats import ttest_1samp

from mnistcli.preset.loading import load_preset
from mnistcli.preset.schema import Preset
from mnistcli.records.documents import ClaimAudit
from mnistcli.verdict.claims import audit_claims, check_claim, measured_by_reference

RUNS = (0.9921, 0.9917, 0.9923, 0.9919, 0.9928)


def preset_with(claims: list[dict], figures: dict) -> Preset:
    reference = {
        "seeds": [0, 1, 2, 3, 4], "parameters": 10, "macs": 10, "mean_test_accuracy": mean(RUNS),
        "sd_test_accuracy": stdev(RUNS), "median_train_seconds": 1, "machine": "m", "version": "v",
        "date": "d", **figures,
    }  # fmt: skip
    content = load_preset("sprint").model_dump(mode="json") | {
        "published": {"claims": claims}, "reference": reference,
    }  # fmt: skip
    return Preset.model_validate_json(json.dumps(content))


def audited(preset: Preset) -> tuple[ClaimAudit, ...]:
    return audit_claims(preset, 10, measured_by_reference(preset.reference))


@pytest.mark.parametrize(
    ("claimed", "verdict"),
    [(0.9940, "refuted"), (0.9900, "confirmed"), (0.9922, "undecided")],
)
def test_a_claimed_accuracy_is_held_against_the_mean(claimed: float, verdict: str) -> None:
    found, p_value = check_claim("test_accuracy", claimed, RUNS)
    assert found == verdict
    side = "less" if sum(RUNS) / 5 < claimed else "greater"
    assert p_value == pytest.approx(ttest_1samp(RUNS, claimed, alternative=side).pvalue)


def test_of_a_loss_less_is_better() -> None:
    losses = (0.11, 0.12, 0.115, 0.118, 0.112)
    assert check_claim("test_loss", 0.2, losses)[0] == "confirmed"
    assert check_claim("test_loss", 0.05, losses)[0] == "refuted"


def test_one_run_and_equal_runs() -> None:
    assert check_claim("test_accuracy", 0.99, (0.95,)) == ("undecided", None)
    assert check_claim("test_accuracy", 0.99, (0.99,)) == ("undecided", None)
    assert check_claim("test_accuracy", 0.9951, (0.9952, 0.9952)) == ("undecided", None)
    assert check_claim("test_accuracy", 1.0, (1.0, 1.0)) == ("confirmed", None)


def test_every_claim_says_what_was_measured_and_by_which_test() -> None:
    claims = [
        {"figure": "parameters", "value": 10, "where": "a"},
        {"figure": "parameters", "value": 11, "where": "b"},
        {"figure": "test_accuracy", "value": 0.9955, "where": "c"},
        {"figure": "test_loss", "value": 0.02, "where": "d"},
        {"figure": "train_seconds", "value": 744, "where": "e"},
    ]
    audits = audited(preset_with(claims, {"test_accuracies": RUNS}))
    assert [(audit.verdict, audit.test) for audit in audits] == [
        ("confirmed", "count"),
        ("refuted", "count"),
        ("refuted", "one-sample t"),
        ("not measured", None),
        ("not measured", None),
    ]
    assert audits[2].measured == pytest.approx(sum(RUNS) / 5)
    assert audits[2].runs == 5
    assert audited(load_preset("sprint")) == ()


def test_a_reference_has_a_figure_a_seed() -> None:
    with pytest.raises(ValueError, match="4 values for 5 seeds"):
        preset_with([], {"test_accuracies": RUNS[:4]})
