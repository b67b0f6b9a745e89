"""Charts, read as the XML that a browser would read."""

from xml.etree import ElementTree

from mnistcli.display.charts import (
    SERIES,
    draw_curves,
    draw_differences,
    draw_intervals,
    draw_reliability,
)
from tests.display.samples import make_metrics

SVG = "{http://www.w3.org/2000/svg}"


def words(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_curves_name_their_axes_and_lines() -> None:
    lines = [
        ("first", [1.0, 2.0], [0.5, 0.25], False),
        ("second", [1.0, 2.0], [0.6, 0.3], False),
        ("second", [1.0, 2.0], [0.7, 0.4], True),
    ]
    svg = draw_curves("Training loss", ("epoch", "loss"), lines)
    found = words(svg)
    for word in ("Training loss", "epoch", "loss", "first", "second"):
        assert found.count(word) == 1, word
    assert SERIES[1] in svg
    assert SERIES[2] not in svg, "lines of one name share a colour"
    assert "stroke-dasharray" in svg
    assert "first" not in words(draw_curves("x", ("step", "rate"), lines[:1])), (
        "one line, no legend"
    )


def test_colours_come_from_the_page_and_no_identifier_is_there_twice() -> None:
    one, other = (draw_curves(title, ("x", "y"), [("a", [0.0], [0.0], False)]) for title in "ab")
    assert "currentColor" in one
    assert "var(--line)" in one
    assert "#010203" not in one
    found = [
        each.get("id") for svg in (one, other) for each in ElementTree.fromstring(svg).iter()
    ]  # fmt: skip
    found = [each for each in found if each]
    assert len(found) == len(set(found))


def test_a_title_is_text_whatever_it_says() -> None:
    svg = draw_curves("$x^{", ("a", "b"), [("<b>&", [0.0], [0.0], False), ("c", [0], [0], False)])
    assert "$x^{" in words(svg)
    assert "<b>&" in words(svg)


def test_reliability_leaves_out_empty_bins() -> None:
    svg = draw_reliability([("run", make_metrics().calibration)])
    assert {"Reliability diagram", "confidence, %", "accuracy, %"} <= set(words(svg))
    assert svg.count(f"stroke: {SERIES[0]}") > 0


def test_intervals_have_a_row_a_run() -> None:
    runs = [("one", 0.99, (0.98, 0.995)), ("two", 0.98, (0.97, 0.985))]
    found = words(draw_intervals("Test accuracy, 95 % intervals", runs))
    assert {"one", "two", "Test accuracy, 95 % intervals"} <= set(found)


def test_differences_are_a_file_with_colours_of_its_own() -> None:
    arms = [("good", 0.01, (0.005, 0.015)), ("one seed", None, None), ('<b> & "', 0.0, (0.0, 0.0))]
    svg = draw_differences('a "<preset>', arms)
    assert {"good", "one seed", '<b> & "', 'a "<preset>'} <= set(words(svg))
    assert "currentColor" not in svg
    assert "var(" not in svg
