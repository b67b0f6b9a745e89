import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mnistcli.datasets.embedded import EMBEDDED
from mnistcli.datasets.load import load_examples
from mnistcli.errors import FileError
from mnistcli.experiment.machine import Options
from mnistcli.experiment.report import SAMPLES, _find_filters, collect_report
from mnistcli.records.reports import ReportedRun
from mnistcli.records.store import EVENTS, read_record


@pytest.fixture(scope="module")
def gathered(finished_run: Path, tiny_data: Path) -> ReportedRun:
    return collect_report(finished_run, Options(threads=1, data=tiny_data))


def test_the_answers_are_those_of_the_record(finished_run: Path, gathered: ReportedRun) -> None:
    record = read_record(finished_run)
    assert gathered.record == record
    assert gathered.metrics.correct == record.test.correct
    assert len(gathered.worst_images) == len(gathered.metrics.mistakes)


def test_the_schedule_is_the_one_that_was_trained_with(
    finished_run: Path, gathered: ReportedRun
) -> None:
    lines = map(json.loads, (finished_run / EVENTS).read_text().splitlines())
    logged = [line["learning_rate"] for line in lines if line["event"] == "EpochFinished"]
    assert len(gathered.learning_rates) == 2 * 4  # two epochs of 200 images in batches of 64
    assert list(gathered.learning_rates[3::4]) == pytest.approx(logged)


def test_samples_are_the_first_test_images(gathered: ReportedRun, tiny_data: Path) -> None:
    test = load_examples("test", tiny_data)
    assert np.array_equal(gathered.sample_images, test.images[:SAMPLES, 0].numpy())
    assert [one.digit for one in gathered.samples] == test.labels[:SAMPLES].tolist()
    wrong = {mistake.index: mistake.predicted for mistake in gathered.metrics.mistakes}
    for sample in gathered.samples:
        assert sample.predicted == wrong.get(sample.index, sample.digit)
        assert 0.1 <= sample.confidence <= 1


def test_a_coreset_shows_kept_and_dropped_images_of_every_digit(gathered: ReportedRun) -> None:
    assert [(row.digit, row.kept) for row in gathered.sheet] == [
        (digit, kept) for digit in range(10) for kept in (True, False)
    ]
    assert {row.count for row in gathered.sheet if row.kept} == {20}
    assert {row.count for row in gathered.sheet if not row.kept} == {40}


def test_the_data_of_another_run_is_refused(finished_run: Path) -> None:
    with pytest.raises(FileError, match="--data"):
        collect_report(finished_run, Options(threads=1, data=EMBEDDED))


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ((nn.Conv2d(1, 6, 5), nn.Conv2d(6, 4, 3)), (6, 5, 5)),
        ((nn.Flatten(), nn.Linear(784, 12)), (12, 28, 28)),
        ((nn.AvgPool2d(2), nn.Flatten(), nn.Linear(196, 10)), (0, 1, 1)),
        ((nn.Conv2d(1, 100, 3),), (64, 3, 3)),
    ],
)
def test_filters_are_those_that_see_the_image(layers: tuple, shape: tuple) -> None:
    filters = _find_filters(nn.Sequential(*layers))
    assert filters.shape == shape
    if shape == (6, 5, 5):
        assert torch.equal(torch.from_numpy(filters), layers[0].weight[:, 0].detach())
