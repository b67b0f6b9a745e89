"""The web page, in a real Chromium."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mnistcli.datasets.load import load_examples
from mnistcli.export.convert import convert
from mnistcli.export.facts import Accuracy, Facts
from mnistcli.export.page import HardImage, choose_hardest, render_page
from mnistcli.export.similarity import fit_check, measure_similarity
from mnistcli.preset.schema import Normalization
from mnistcli.records.documents import AnswerLimits
from tests.export.browser import Browser, launch, needs_browser
from tests.export.drawn import draw_network
from tests.export.random_models import make_model
from tests.export.test_c import load_network, take

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & '{{ 7 * 7 }}'"
FACTS = Facts(
    run_id="tiny-1",
    preset="tiny",
    version="9.9.9",
    weights_sha256="0" * 64,
    data="MNIST",
    parameters=19_514,
    macs=376_064,
    float_accuracy=Accuracy(9_944, 10_000, (0.9927, 0.9957)),
    integer_accuracy=Accuracy(9_942, 10_000, (0.9925, 0.9955)),
    answer_limits=AnswerLimits(
        min_confidence=0.4, min_similarity=0.7, images=3_000, measured_on="turned training images"
    ),
)
ANSWERING = replace(FACTS, answer_limits=None)
SEVEN = [(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)]
BAR = [(0.35, 0.52), (0.65, 0.52)]


def write_answer(digit: int) -> str:
    return f"This is an {digit}." if digit == 8 else f"This is a {digit}."


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with launch(tmp_path_factory.mktemp("pages")) as browser:
        yield browser


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    return load_examples("test").images[:1_000, 0].numpy()


@pytest.mark.slow
@needs_browser
def test_a_page_runs_its_network_and_takes_names_as_text(
    browser: Browser, images: NDArray[np.uint8]
) -> None:
    model = make_model(1)
    facts = replace(ANSWERING, run_id=HOSTILE, preset=HOSTILE, data=HOSTILE)
    with browser.open(render_page(model, facts)) as visit:
        assert visit.page.title().startswith(HOSTILE)
        assert visit.page.locator("dd").first.inner_text() == HOSTILE
        assert visit.page.locator("img").count() == 0
        found = visit.compute_logits(images[:20])
        np.testing.assert_array_equal(found, model.compute_logits(images[:20]))
        assert visit.text("text") == "Nothing drawn yet"
        visit.draw(SEVEN)
        image = visit.read_image()
        assert image.max() == 255
        digit = int(model.compute_logits(image[None]).argmax())
        assert (visit.text("digit"), visit.text("text")) == (f"{digit}", write_answer(digit))


@needs_browser
@pytest.mark.slow
def test_random_networks_give_equal_logits(browser: Browser, images: NDArray[np.uint8]) -> None:
    """Of random integers, with every stage and packing, and of layers with random weights."""
    models = [make_model(seed) for seed in range(100)]
    for seed in range(20):
        models.append(convert(draw_network(seed), Normalization(), take("train", 50)))
    with browser.open(render_page(models[0], FACTS)) as visit:
        for place, model in enumerate(models):
            visit.replace_network(render_page(model, FACTS))
            found = visit.compute_logits(images[:20])
            wanted = model.compute_logits(images[:20])
            np.testing.assert_array_equal(found, wanted, err_msg=f"network {place}")


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("name", ["journey-v3", "residual", "shared"])
def test_every_logit_is_equal(browser: Browser, images: NDArray[np.uint8], name: str) -> None:
    model = load_network(name)
    with browser.open(render_page(model, FACTS)) as visit:
        np.testing.assert_array_equal(visit.compute_logits(images), model.compute_logits(images))


@needs_browser
@pytest.mark.slow
def test_strokes_can_be_undone_and_cleared(browser: Browser) -> None:
    with browser.open(render_page(make_model(1), ANSWERING)) as visit:
        visit.draw(SEVEN)
        seven = visit.read_image()
        visit.draw(BAR)
        assert (visit.read_image() != seven).any()
        visit.press("Control+z")
        np.testing.assert_array_equal(visit.read_image(), seven)
        visit.click("#clear")
        assert not visit.read_image().any()
        visit.click("#undo")
        np.testing.assert_array_equal(visit.read_image(), seven)
        visit.press("Escape")
        assert not visit.read_image().any()


@needs_browser
@pytest.mark.slow
def test_the_keyboard_is_enough(browser: Browser) -> None:
    with browser.open(render_page(make_model(1), FACTS)) as visit:
        visit.press("Tab", *["ArrowUp"] * 10, " ", *["ArrowDown"] * 20, " ", "ArrowLeft")
        rows, columns = np.nonzero(visit.read_image() > 128)
        assert np.ptp(rows) == 19
        assert np.ptp(columns) < 4
        visit.press("Backspace")
        assert not visit.read_image().any()


@needs_browser
@pytest.mark.slow
def test_a_finger_draws_and_does_not_scroll(browser: Browser) -> None:
    phone = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
    with browser.open(render_page(make_model(1), FACTS), **phone) as visit:
        assert visit.evaluate("document.documentElement.scrollWidth") == 360
        visit.swipe((0.5, 0.8), (0.5, 0.2))
        rows, columns = np.nonzero(visit.read_image() > 128)
        assert np.ptp(rows) == 19
        assert np.ptp(columns) < 4
        assert visit.evaluate("scrollY") == 0


@needs_browser
@pytest.mark.slow
def test_hard_images_are_shown_as_they_are(browser: Browser, images: NDArray[np.uint8]) -> None:
    hard = [HardImage(number, number % 10, images[number]) for number in range(3)]
    with browser.open(render_page(make_model(2), FACTS, hard)) as visit:
        button = visit.page.locator("#examples button").nth(1)
        visit.click("#examples button:nth-child(2)")
        np.testing.assert_array_equal(visit.read_image(), images[1])
        assert visit.text("truth") == "Test image 1, labelled 1"
        assert button.get_attribute("aria-pressed") == "true"


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize(
    ("min_confidence", "min_similarity", "text"),
    [
        (1.01, None, "I don’t know."),
        (0, None, "This is a"),
        (0, 1.1, "I don’t know."),
        (0, -1, "This is a"),
    ],
)
def test_what_is_below_a_limit_has_no_answer(
    browser: Browser,
    images: NDArray[np.uint8],
    min_confidence: float,
    min_similarity: float | None,
    text: str,
) -> None:
    model = make_model(3)
    assert FACTS.answer_limits
    limits = FACTS.answer_limits.model_copy(update={"min_confidence": min_confidence})
    fitted = fit_check(model, images[:500], images[500:], 0.002)
    check = None if min_similarity is None else replace(fitted, min_similarity=min_similarity)
    facts = replace(FACTS, answer_limits=limits)
    hard = [HardImage(0, 7, images[0])]
    with browser.open(render_page(model, facts, hard, check)) as visit:
        visit.click("#examples button")
        assert visit.text("text").startswith(text)


@needs_browser
@pytest.mark.slow
def test_similarity_is_measured_alike(browser: Browser, images: NDArray[np.uint8]) -> None:
    model = make_model(3)
    check = fit_check(model, images[:500], images[500:], 0.01)
    logits = model.compute_logits(images[500:520])
    wanted = measure_similarity(check, images[500:520], logits)
    with browser.open(render_page(model, FACTS, check=check)) as visit:
        code = "mnistcli.similarity(bytes, mnistcli.logits(bytes))"
        found = [visit.evaluate(code, image) for image in images[500:520]]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_the_check_refuses_as_many_as_it_is_told(images: NDArray[np.uint8]) -> None:
    model = make_model(3)
    check = fit_check(model, images[:500], images[500:], 0.01)
    similarity = measure_similarity(check, images[500:], model.compute_logits(images[500:]))
    assert (similarity < check.min_similarity).sum() == 5


def test_without_images_of_a_digit_similarities_are_finite(images: NDArray[np.uint8]) -> None:
    model = make_model(3)
    check = fit_check(model, images[:3], images[:3], 0.0)
    blank = np.zeros((1, 28, 28), np.uint8)
    assert np.isfinite(measure_similarity(check, blank, model.compute_logits(blank))).all()


def test_half_of_the_hardest_images_are_misread() -> None:
    logits = np.zeros((6, 10), np.int32)
    labels = np.arange(6)
    logits[np.arange(6), [0, 1, 2, 9, 9, 9]] = [500, 100, 900, 100, 900, 500]
    model = replace(make_model(0), logit_scale=0.01)
    assert choose_hardest(model, logits, labels, 4) == [4, 5, 1, 0]
    assert choose_hardest(model, logits, labels, 100) == [4, 5, 3, 1, 0, 2]


def test_no_request_is_allowed() -> None:
    page = render_page(make_model(0), FACTS, check=None)
    assert "default-src 'none'" in page
    assert "unsafe" not in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
