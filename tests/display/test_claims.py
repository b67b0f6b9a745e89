from mnistcli.display.claims import CLAIM_COLUMNS, CLAIM_FIGURES, CLAIM_STYLE, claim_cells
from mnistcli.display.layout import new_table
from mnistcli.records.documents import ClaimAudit
from tests.display.samples import drawn, make_claim


def cells(audit: ClaimAudit) -> list[str]:
    table = new_table(*CLAIM_COLUMNS, right=CLAIM_FIGURES)
    table.add_row(*claim_cells(audit))
    return drawn(table)[-1].split("  ")


def test_a_measured_claim_has_mean_and_spread() -> None:
    text = " ".join(cells(make_claim()))
    assert text.split() == ["test", "accuracy", "99.50", "%", "99.42", "%", "0.05", "refuted"]


def test_a_count_is_held_against_the_built_network() -> None:
    audit = make_claim(
        figure="parameters", claimed=22_642, built=421_642, measured=None, sd=None, runs=0,
        test="count",
    )  # fmt: skip
    assert " ".join(cells(audit)).split() == ["parameters", "22,642", "421,642", "refuted"]


def test_nothing_measured_leaves_its_cells_empty() -> None:
    audit = make_claim(
        figure="epoch_seconds", claimed=23.0, measured=None, sd=None, runs=0,
        verdict="not measured", test=None, p_value=None,
    )  # fmt: skip
    assert " ".join(cells(audit)).split() == ["epoch", "seconds", "23.0", "s", "not", "measured"]


def test_one_run_has_no_spread_and_a_loss_has_four_digits() -> None:
    one = make_claim(figure="test_loss", claimed=0.0152, measured=0.0139, sd=0.0, runs=1)
    assert " ".join(cells(one)).split() == ["test", "loss", "0.0152", "0.0139", "refuted"]
    several = one.model_copy(update={"sd": 0.00104, "runs": 5})
    assert " 0.0010" in cells(several)


def test_every_verdict_has_a_style() -> None:
    words = ClaimAudit.model_fields["verdict"].annotation.__args__
    assert set(CLAIM_STYLE) == set(words)
    for word in words:
        assert claim_cells(make_claim(verdict=word))[-1].style == CLAIM_STYLE[word]
