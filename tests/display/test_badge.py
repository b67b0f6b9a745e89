from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from hypothesis import given
from hypothesis import strategies as st

from mnistcli.display.badge import FAILED, PASSED, UNCHECKED, draw_badge
from tests.display.samples import make_check, make_run

SVG = "{http://www.w3.org/2000/svg}"
KINDS = {"svg", "title", "rect", "path", "g", "text"}


def parse(badge: str) -> Element:
    root = ElementTree.fromstring(badge)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == KINDS
    for element in root.iter():
        assert set(element.keys()) <= {
            "width", "height", "role", "aria-label", "rx", "fill", "d", "x", "y", "textLength",
            "font-family", "font-size",
        }  # fmt: skip
    return root


def test_it_has_accuracy_parameters_and_verdict() -> None:
    badge = draw_badge(make_run())
    root = parse(badge)
    wanted = "mnist 99.44 % · 19,514 parameters · PASS"
    assert root.get("aria-label") == root.findtext(f"{SVG}title") == wanted
    assert [text.text for text in root.iter(f"{SVG}text")] == [
        "mnist", "99.44 % · 19,514 parameters · PASS",
    ]  # fmt: skip
    assert f'rx="3" fill="{PASSED}"' in badge
    assert badge == draw_badge(make_run())
    assert len(badge) < 1_500


def test_every_verdict_has_its_colour_and_its_word() -> None:
    failed = draw_badge(make_run(checks=(make_check(verdict="fail"),), passed=False))
    assert FAILED in failed
    assert "FAIL" in failed
    unchecked = draw_badge(make_run(checks=()))
    assert UNCHECKED in unchecked
    assert "PASS" not in unchecked


def test_texts_stay_in_their_boxes() -> None:
    root = parse(draw_badge(make_run(parameters=421_642)))
    first, second = root.iter(f"{SVG}text")
    ends = [int(text.get("x", "")) + int(text.get("textLength", "")) for text in (first, second)]
    assert ends[0] < int(second.get("x", ""))
    assert ends[1] < int(root.get("width", ""))


@given(st.text() | st.text('<>&"\x00\x1b/'))
def test_any_name_of_a_folder_stays_text(name: str) -> None:
    data = {"source": name, "folder": f"/data/{name}", "train_sha256": "a", "test_sha256": "b"}
    root = parse(draw_badge(make_run(data=data)))
    label = root.findtext(f"{SVG}g/{SVG}text") or ""
    assert 1 <= len(label) <= 24
    assert label.isprintable()
