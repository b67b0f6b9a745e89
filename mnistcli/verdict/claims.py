"""Published claims × the built network and measured figures → an audit."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Literal

from mnistcli.preset.schema import Claim, Preset, Reference
from mnistcli.records.documents import ClaimAudit, RunRecord
from mnistcli.verdict.stats import LEVEL, one_sample_p, standard_deviation

Verdict = Literal["confirmed", "refuted", "undecided"]

Measured = Mapping[str, Sequence[float]]
"""Values of every figure that does not depend on the machine, one for each seed."""


def audit_claims(preset: Preset, parameters: int, measured: Measured) -> tuple[ClaimAudit, ...]:
    """Compare every published claim with the built network's count or the measured mean."""
    claims = preset.published.claims if preset.published else ()
    return tuple(
        _audit_count(claim, parameters)
        if claim.figure == "parameters"
        else _audit_mean(claim, measured.get(claim.figure, ()))
        for claim in claims
    )


def measured_by_reference(reference: Reference | None) -> Measured:
    """Return the figures of a preset's [reference]."""
    if reference is None:
        return {}
    return {
        "test_accuracy": reference.test_accuracies,
        "test_loss": reference.test_losses,
        "train_accuracy": reference.train_accuracies,
        "train_loss": reference.train_losses,
    }


def measured_by_runs(runs: Sequence[RunRecord]) -> Measured:
    """Return the figures of runs: on the test images, and in the last epoch."""
    last = [run.epochs[-1] for run in runs if run.epochs]
    return {
        "test_accuracy": [run.test.accuracy for run in runs],
        "test_loss": [run.test.loss for run in runs],
        "train_accuracy": [epoch.train_accuracy for epoch in last],
        "train_loss": [epoch.train_loss for epoch in last],
    }


def check_claim(
    figure: str, claimed: float, values: Sequence[float]
) -> tuple[Verdict, float | None]:
    """Test whether the mean is as good as claimed; return the verdict at the 5 % level and its p.

    Equal values have no spread to test by. If they equal the claim, it is confirmed.
    """
    if len(values) > 1 and set(values) == {claimed}:
        return "confirmed", None
    p_value = one_sample_p(values, claimed)
    if p_value is None or p_value >= LEVEL:
        return "undecided", p_value
    is_higher = mean(values) > claimed
    return ("confirmed" if is_higher != figure.endswith("_loss") else "refuted"), p_value


def _audit_count(claim: Claim, built: int) -> ClaimAudit:
    verdict: Verdict = "confirmed" if built == claim.value else "refuted"
    return ClaimAudit(
        figure=claim.figure, claimed=claim.value, where=claim.where, built=built, measured=None,
        sd=None, runs=0, verdict=verdict, test="count", p_value=None,
    )  # fmt: skip


def _audit_mean(claim: Claim, values: Sequence[float]) -> ClaimAudit:
    if not values:
        return ClaimAudit(
            figure=claim.figure, claimed=claim.value, where=claim.where, built=None, measured=None,
            sd=None, runs=0, verdict="not measured", test=None, p_value=None,
        )  # fmt: skip
    verdict, p_value = check_claim(claim.figure, claim.value, values)
    return ClaimAudit(
        figure=claim.figure, claimed=claim.value, where=claim.where, built=None,
        measured=mean(values), sd=standard_deviation(values), runs=len(values), verdict=verdict,
        test="one-sample t", p_value=p_value,
    )  # fmt: skip
