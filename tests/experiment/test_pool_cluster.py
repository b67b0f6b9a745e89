"""Trainings that are submitted one by one to a real Dask cluster, on loopback."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnistcli.errors import FileError
from mnistcli.experiment.machine import Options
from mnistcli.experiment.pool import open_pool
from mnistcli.experiment.training.seeds import RunJob
from mnistcli.experiment.workers import Workers
from mnistcli.preset.loading import load_preset
from mnistcli.records.documents import RunRecord
from mnistcli.records.store import read_record
from tests.cluster import Cluster, start_cluster
from tests.experiment.test_pool import Killed, Quick, Slow

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster of two workers that gives up what has killed one, and knows these jobs."""
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join((str(Path.cwd()), os.environ.get("PYTHONPATH", "")))
    )
    with start_cluster(tmp_path) as started:
        yield started


def test_every_end_is_a_result_and_a_lost_cluster_is_an_error(
    cluster: Cluster, tiny_data: Path, tiny_preset: Path, tmp_path: Path
) -> None:
    preset = load_preset(str(tiny_preset))

    def make(kind: type[RunJob], seed: int) -> RunJob:
        options = Options(seed=seed, threads=1, data=tiny_data, hold_out=True)
        return kind(preset, options, None, tmp_path / f"{kind.__name__}-{seed}")

    (trained := make(RunJob, 0)).folder.mkdir()
    with pytest.raises(FileError, match="was lost"), open_pool(Workers(1, cluster.address)) as pool:
        assert pool.free == 2
        pool.submit(trained)
        assert pool.free == 1
        ((job, record),) = pool.wait(120)
        assert job == trained
        assert isinstance(record, RunRecord)
        assert read_record(trained.folder) == record
        assert (record.path, record.data.evaluated_on) == (str(trained.folder), "held-out")
        pool.submit(make(Slow, 1), 1)
        ((_, result),) = pool.wait(120)
        assert result.reason == "not finished after 1 seconds"
        pool.submit(make(Killed, 9))
        ((_, result),) = pool.wait(120)
        assert result.reason == "the workers that trained it died"
        assert result.exit_code == 1
        cluster.scheduler.kill()
        pool.submit(make(Quick, 2))
        while pool.running:
            pool.wait(120)
