from mnistcli.experiment.summary import summarize
from mnistcli.preset.loading import load_preset
from mnistcli.records.documents import Check
from mnistcli.records.grades import Grade
from mnistcli.verdict.grades import explain, identify_structure, mark_same


def make_check(name: str, value: float, comparison: str, limit: float, verdict: str) -> Check:
    return Check(name=name, comparison=comparison, limit=limit, value=value, verdict=verdict)


def test_every_failed_check_is_explained() -> None:
    checks = (
        make_check("parameters", 26_010, "<", 20_000, "fail"),
        make_check("epochs", 3, "<", 20, "pass"),
        make_check("test_accuracy", 0.9731, ">=", 0.994, "fail"),
        make_check("train_seconds", 1234.567, "<=", 0.5, "fail"),
        make_check("phase_1_accuracy", 0.5, ">=", 0.9, "fail"),
    )
    assert explain(checks) == (
        "parameters 26,010: the limit is < 20,000; accuracy 97.31 %: the limit is >= 99.40 %; "
        "seconds 1,235: the limit is <= 0.5; phase 1 accuracy 50.00 %: the limit is >= 90.00 %"
    )
    assert explain(checks[1:2]) == ""


def make_grade(name: str, structure: str | None) -> Grade:
    return Grade(
        name=name, submission=f"{name}.py", sha256="0", verdict="pass", structure_sha256=structure
    )


def test_the_same_network_is_marked_with_the_first_that_has_it() -> None:
    grades = [make_grade(*each) for each in [("a", "1"), ("b", "2"), ("c", "1"), ("d", "1")]]
    assert [each.same_as for each in mark_same(grades)] == [None, None, "a", "a"]
    again = mark_same(mark_same(grades)[1:])
    assert [each.same_as for each in again] == [None, None, "c"], "marks are not kept"


def test_those_without_a_network_are_not_the_same() -> None:
    grades = [make_grade("a", None), make_grade("b", None), make_grade("c", "a")]
    assert [each.same_as for each in mark_same(grades)] == [None, None, None]


def test_what_is_not_known_is_called_unknown_and_why() -> None:
    flash = Check(
        name="flash", comparison="<=", limit=9, value=None, verdict="inconclusive", reason="no code"
    )
    assert explain((flash,)) == "bytes of flash unknown: the limit is <= 9 (no code)"
    data = make_check("train_fraction", 0.5, "<=", 0.2, "fail")
    assert explain((data,)) == "fraction of the data 50.00 %: the limit is <= 20.00 %"


def test_networks_are_the_same_by_shapes_parameters_and_macs_alone() -> None:
    sprint, other = summarize(load_preset("sprint")), summarize(load_preset("sprint-curriculum"))
    assert identify_structure(sprint) == identify_structure(other), (
        "another preset, the same network"
    )
    wider = summarize(load_preset("sprint", ["model.width=1.1"]))
    assert identify_structure(wider) != identify_structure(sprint)
    costly = sprint.model_copy(update={"macs": sprint.macs + 1})
    assert identify_structure(costly) != identify_structure(sprint)
    renamed = [row.model_copy(update={"name": f"{row.name}x"}) for row in sprint.layers]
    assert identify_structure(sprint.model_copy(update={"layers": renamed})) == (
        identify_structure(sprint)
    )


def test_a_figure_and_its_limit_differ_where_they_do() -> None:
    checks = (
        make_check("train_seconds", 4.0003, "<", 4, "fail"),
        make_check("train_seconds", 12_345.6, "<", 9_000, "fail"),
        make_check("test_accuracy", 0.99398, ">=", 0.994, "fail"),
        make_check("train_seconds", 30.0, "<", 30, "fail"),
    )
    assert explain(checks) == (
        "seconds 4.0003: the limit is < 4; seconds 12,346: the limit is < 9,000; "
        "accuracy 99.398 %: the limit is >= 99.400 %; seconds 30: the limit is < 30"
    )
