"""Published claims × what was built and measured → an audit."""

from collections.abc import Mapping
from statistics import mean
from typing import Literal

from mnistcli.preset.schema import Claim, Preset, Reference
from mnistcli.records.documents import ClaimAudit
from mnistcli.verdict.stats import LEVEL, deviation, one_sample_p

SERIES = {
    "test_accuracy": "test_accuracies",
    "test_loss": "test_losses",
    "train_accuracy": "train_accuracies",
    "train_loss": "train_losses",
}
"""Claims on what other machines are no part of, and where the reference has them."""

Verdict = Literal["holds", "does not hold", "not decided"]


def audit_claims(preset: Preset, built: Mapping[str, int | float]) -> tuple[ClaimAudit, ...]:
    """Every published claim beside the built network's figure, or the mean of the reference.

    Args:
        preset: its [published] and its [reference], as far as it has them.
        built: figures of the built network.
    """
    claims = preset.published.claims if preset.published else ()
    return tuple(_audit(claim, built.get(claim.figure), preset.reference) for claim in claims)


def judge_claim(
    figure: str, claimed: float, values: tuple[float, ...]
) -> tuple[Verdict, float | None]:
    """Is the mean as good as claimed? The verdict at the 5 % level, and the p-value behind it.

    Equal values have no spread to test by: they are as good, or they are not.
    """
    if len(values) > 1 and len(set(values)) == 1:
        less_is_better = figure.endswith("_loss")
        as_good = values[0] <= claimed if less_is_better else values[0] >= claimed
        return ("holds" if as_good else "does not hold"), None
    p_value = one_sample_p(values, claimed)
    if p_value is None or p_value >= LEVEL:
        return "not decided", p_value
    is_higher = mean(values) > claimed
    return ("holds" if is_higher != figure.endswith("_loss") else "does not hold"), p_value


def _audit(claim: Claim, built: int | float | None, reference: Reference | None) -> ClaimAudit:
    values = getattr(reference, SERIES.get(claim.figure, ""), ())
    audit = ClaimAudit(
        figure=claim.figure,
        claimed=claim.value,
        where=claim.where,
        built=built,
        measured=mean(values) if values else None,
        sd=deviation(values) if values else None,
        runs=len(values),
        verdict="not measured here",
        test=None,
        p_value=None,
    )
    if built is not None:
        verdict = "holds" if built == claim.value else "does not hold"
        return audit.model_copy(update={"verdict": verdict, "test": "count"})
    if values:
        verdict, p_value = judge_claim(claim.figure, claim.value, values)
        update = {"verdict": verdict, "test": "one-sample t", "p_value": p_value}
        return audit.model_copy(update=update)
    return audit
