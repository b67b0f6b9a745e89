"""The benchmark of speed: its tables from given figures, and that its parts run."""

import argparse
from pathlib import Path

import pytest

from tests.benchmarks.layers import LayerSpeed, rows_of_layers
from tests.benchmarks.speed import (
    compare_with_documents,
    compare_with_public,
    measure,
    rows_of,
    show_rounds,
    summarize,
)


def test_a_preset_is_compared_with_its_document() -> None:
    found = compare_with_documents({"images_per_second": 30.0, "ceiling": 40.0}, 10.0)
    assert found["loop_over_documents"] == 3
    assert found["loop_over_ceiling"] == 0.75


def test_a_distance_is_compared_with_an_epoch_and_the_public_recipe() -> None:
    loop = {"images_per_second": 30.0, "ceiling": 40.0, "train_seconds": 4.0}
    found = compare_with_public(loop, epoch=40.0, public=8.0)
    assert found["training_over_documents_epoch"] == 0.1
    assert found["training_over_public_recipe"] == 0.5


def test_rounds_are_summarized_by_median_min_and_max() -> None:
    found = summarize([{"ratio": 3.0}, {"ratio": 1.0}, {"ratio": 2.5}])
    assert found == {"ratio": {"median": 2.5, "min": 1.0, "max": 3.0}}
    assert show_rounds(found["ratio"], ".1f") == "2.5 (1.0 – 3.0)"
    assert rows_of(["dash"], {"dash": found}, {"ratio": ".0%"}).splitlines() == [
        "| preset | ratio |", "| --- | --- |", "| `dash` | 250% (100% – 300%) |",
    ]  # fmt: skip


def test_layers_are_held_against_the_peak() -> None:
    layer = LayerSpeed("0", "conv", 50, 0.001, 0.002, (1e6, 1e6))
    pool = LayerSpeed("1", "max_pool", 0, 0.001, 0.002, (0.0, 0.0))
    assert layer.share(2e9) == pytest.approx((0.5, 0.25))
    assert rows_of_layers(2e9, [layer, pool]).splitlines()[2:] == [
        "| 0 conv | 50 | 1.00 | 50 % | 2.00 | 25 % |",
        "| 1 max_pool | 0 | 1.00 |  | 2.00 |  |",
    ]


@pytest.mark.slow
def test_a_distance_is_measured(tmp_path: Path) -> None:
    options = argparse.Namespace(threads=1, precision="float32")
    found = measure("loop", "dash", tmp_path, options)
    assert 0 < found["train_seconds"] < 60
    assert found["images_per_second"] > 0
    assert found["ceiling"] > 0
