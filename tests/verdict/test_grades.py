from mnistcli.records.documents import Check
from mnistcli.records.grades import Grade
from mnistcli.verdict.grades import explain, mark_same


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
