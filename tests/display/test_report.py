"""The page that a report renders, without a network behind it."""

import json
import re
from base64 import b64decode
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mnistcli.display.report import draw_charts, encode_png, render_report, scale_filter
from mnistcli.records.documents import CoresetRecord, LayerRow
from mnistcli.records.reports import ReportedRun, Sample, SheetRow
from tests.display.samples import make_check, make_epoch, make_metrics, make_phase, make_run


def make_reported(seed: int = 0, **changes: object) -> ReportedRun:
    layer = LayerRow(
        name="0", kind="conv", output_shape=(16, 12, 12), parameters=400, macs=57_600,
        receptive_field=5,
    )  # fmt: skip
    sheet = changes.pop("sheet", ())
    return ReportedRun(
        record=make_run(seed, **changes), layers=(layer,), learning_rates=[0.1] * 1_000,
        metrics=make_metrics(), samples=[Sample(0, 7, 7, 0.99), Sample(1, 2, 3, 0.5)],
        sample_images=make_images_of(2), worst_images=make_images_of(2),
        filters=np.ones((3, 5, 5), dtype=np.float32), sheet=sheet,
    )  # fmt: skip


def make_images_of(count: int) -> np.ndarray:
    return np.full((count, 28, 28), 128, dtype=np.uint8)


def words(page: str) -> str:
    """The text of a page, in one line."""
    return " ".join(re.sub(r"<(style|svg).*?</\1>|<[^>]*>", " ", page, flags=re.S).split())


def test_one_run_has_its_budget_matrix_mistakes_and_command() -> None:
    page = render_report([make_reported(path="my runs/x")])
    text = words(page)
    for wanted in (
        "sprint PASS", "99.44 % on the test images: 9,944 of 10,000 correct",
        "376,064 multiply-accumulates (MACs) per image", "First-layer filters",
        "Confusion matrix, test set", "Worst of 2 mistakes", "4 → 9, 90 %", "Reproduce",
        "mnistcli train --from &#39;my runs/x&#39;", "test accuracy 99.44 % ≥ 99.00 % PASS",
        "training time 5.0 s –", "total 19,514 376,064",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert page.count('alt="filter') == 3
    assert page.count("<svg") == 4
    assert page.count('<figure class="miss">') == 1
    assert "Side by side" not in text
    assert "Phases" not in text
    assert "Coreset" not in text


def test_nested_layers_are_indented() -> None:
    layers = tuple(
        LayerRow(
            name=name, kind=kind, output_shape=(8, 14, 14), parameters=9, macs=7, receptive_field=5
        )
        for name, kind in (("0", "repeat"), ("0.0.0", "conv"), ("0.1.0", "conv"))
    )
    page = render_report([replace(make_reported(), layers=layers)])
    assert 'style="padding-left: 1.5em">conv</td>' in page
    assert "0 repeat ×2 8 × 14 × 14 9 7 5" in words(page)
    assert "0.1 1 more 8 × 14 × 14 9 7 5" in words(page)


def test_phases_and_a_coreset_are_sections() -> None:
    coreset = CoresetRecord(
        settings=None, size=600, total=60_000, class_counts=(60,) * 10, seconds={},
        indices_sha256="x", indices_file="x",
    )  # fmt: skip
    sheet = [SheetRow(3, True, 60, make_images_of(4)), SheetRow(3, False, 5_400, make_images_of(4))]
    page = render_report(
        [
            make_reported(
                coreset=coreset,
                sheet=sheet,
                phases=(make_phase(1), make_phase(2, target=None)),
                phases_evaluated_on="validation images",
            )  # fmt: skip
        ]
    )
    text = words(page)
    assert "Coreset (600 of 60,000 images" in text
    assert "3 dropped 5,400" in text
    assert "Phases (accuracy on validation images)" in text
    assert "phase 2 2 3 12,000 940 0.250 98.00 % 97.00 % 96.00 % –" in text


@pytest.mark.parametrize("verdicts", [("pass", "pass"), ("fail", "fail")])
def test_several_runs_of_a_preset_have_a_verdict_on_their_mean(verdicts: tuple[str, str]) -> None:
    limit = 0.99 if verdicts[0] == "pass" else 0.999
    runs = [
        make_reported(seed, passed=word == "pass", checks=(make_check(limit=limit, verdict=word),))
        for seed, word in enumerate(verdicts)
    ]
    text = words(render_report(runs))
    assert f"2 runs: sprint {verdicts[0].upper()}" in text
    assert "Budget, mean of the runs" in text
    assert "sprint-20260101-000000-s1 1 9,944 99.44 %" in text


@pytest.mark.slow
def test_charts_tell_training_from_validation() -> None:
    plain = draw_charts([make_reported()])
    assert "Training loss" in plain[0]
    assert "dashed" not in plain[0]
    validated = make_epoch(1, validation_loss=0.5, validation_accuracy=0.8)
    assert "dashed: validation set" in draw_charts([make_reported(epochs=(validated,))])[0]
    assert len(draw_charts([make_reported(0), make_reported(1)])) == 5


def test_a_page_is_the_same_every_time() -> None:
    assert render_report([make_reported()]) == render_report([make_reported()])


def test_the_preset_on_the_page_is_the_runs_own() -> None:
    page = render_report([make_reported()])
    blocks = re.findall(r"<pre>(.*?)</pre>", page, flags=re.S)
    preset = json.loads(blocks[-1].replace("&#34;", '"').replace("&gt;", ">").replace("&lt;", "<"))
    assert preset["train"]["epochs"] == make_run().preset.train.epochs


def test_pixels_and_weights_keep_their_order() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    data = encode_png(image).removeprefix("data:image/png;base64,")
    with Image.open(BytesIO(b64decode(data)), formats=["PNG"]) as picture:
        assert (np.asarray(picture) == image).all()
    assert scale_filter(np.float32([[-2, 0], [1, np.nan]])).tolist() == [[0, 127], [191, 127]]
    assert scale_filter(np.zeros((2, 2), dtype=np.float32)).tolist() == [[127] * 2] * 2


def test_identical_weights_count_once_in_the_verdict_of_several_runs() -> None:
    runs = [
        make_reported(
            seed,
            checks=(make_check(value=value, limit=0.994, verdict=verdict),),
            weights_sha256=str(seed) * 64,
        )
        for seed, (value, verdict) in enumerate([(0.9948, "pass"), (0.9944, "pass")])
    ]
    head = "INCONCLUSIVE"
    assert head in words(render_report(runs))
    assert head in words(render_report([*runs, *runs]))


def test_a_run_without_limits_has_no_verdict() -> None:
    assert "PASS" not in words(render_report([make_reported(checks=())]))
