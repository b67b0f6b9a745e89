from pathlib import Path

import numpy as np
import pytest

from mnistcli.datasets.load import load_examples
from mnistcli.experiment.evaluate import (
    evaluate_ensemble,
    evaluate_run,
    select_worst,
)
from mnistcli.experiment.machine import Options
from mnistcli.records.store import read_record

pytestmark = pytest.mark.usefixtures("quick_speed")


def test_mistakes_are_sorted_by_the_probability_of_the_true_digit(
    finished_run: Path, tiny_data: Path
) -> None:
    found = evaluate_run(finished_run, "train", Options(threads=1, data=tiny_data))
    document, examples = found.document, load_examples("train", tiny_data)
    probabilities = [mistake.true_probability for mistake in document.mistakes]
    assert probabilities == sorted(probabilities)
    assert len(probabilities) == document.total - document.correct > 0
    for mistake, image in zip(document.mistakes, select_worst(document, examples), strict=False):
        assert np.array_equal(image, examples.images[mistake.index, 0].numpy())
        assert mistake.digit == examples.labels[mistake.index] != mistake.predicted
    assert document.matches_record is None


def test_the_test_images_of_the_run_are_recognized(finished_run: Path, tiny_data: Path) -> None:
    document = evaluate_run(finished_run, "test", Options(threads=1, data=tiny_data)).document
    assert document.matches_record is True
    assert document.correct == read_record(finished_run).test.correct
    assert document.data == str(tiny_data)
    assert document.robustness == ()


def test_an_ensemble_of_one_network_is_that_network(finished_run: Path, tiny_data: Path) -> None:
    options = Options(threads=1, data=tiny_data)
    single = evaluate_run(finished_run, "test", options)
    ensemble = evaluate_ensemble([single, single], "test").document.ensemble
    assert ensemble.confusion == single.document.confusion
    assert ensemble.loss == pytest.approx(single.document.loss, abs=1e-6)
    assert ensemble.runs == (finished_run.name,) * 2
