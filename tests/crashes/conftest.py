"""What crashes: scenarios by name, on small data and without measuring speed."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mnistcli.experiment.training import checkpoint
from mnistcli.search import plan
from tests.cli.test_search import SPACE
from tests.crashes.scenarios import (
    Scenario,
    make_batch,
    make_download,
    make_export,
    make_grading,
    make_run,
    make_search,
    make_study,
    run,
)
from tests.experiment.test_downloads import offer
from tests.server import Server, make_certificate, serve


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Save the state after every step; do not measure speed, which nothing here depends on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "SAVE_SECONDS", 0)
        for name in ("evaluate.measure_inference", "training.run.measure_ceiling"):
            patch.setattr(f"mnistcli.experiment.{name}", lambda *_: 1_000.0)
        yield


@pytest.fixture(scope="module")
def preset(tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of six steps."""
    path = tmp_path_factory.mktemp("crashes") / "tiny.toml"
    path.write_text(tiny_preset.read_text().replace("batch_size = 64", "batch_size = 200"))
    return path


@pytest.fixture
def server(tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("MNISTCLI_CACHE", str(tmp_path / "crashes" / "cache"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serve(certificate) as serving:
        serving.contents = {path.name: path.read_bytes() for path in tiny_data.iterdir()}
        offer(monkeypatch, serving)
        yield serving


@pytest.fixture
def make(
    preset: Path,
    tiny_data: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], Scenario]:
    def make_scenario(name: str) -> Scenario:
        if name in ("study", "search"):  # their trials are runs, which others crash step by step
            monkeypatch.setattr(checkpoint, "SAVE_SECONDS", 30)
            monkeypatch.setattr(plan, "CONFIRMATIONS", 2)
        match name:
            case "run":
                return make_run(preset, tiny_data)
            case "batch":
                return make_batch(preset, tiny_data)
            case "study":
                return make_study(preset, tiny_data)
            case "search":
                (tmp_path / "space.toml").write_text(SPACE)
                return make_search(tmp_path / "space.toml", tiny_data)
            case "export":
                run("train", preset, "--data", tiny_data, "--out", tmp_path / "runs", "--no-fail")
                return make_export(next((tmp_path / "runs").iterdir()), tiny_data)
            case "grading":
                (tmp_path / "all").mkdir()
                for submission in ("a.toml", "b.toml"):
                    shutil.copy(preset, tmp_path / "all" / submission)
                return make_grading(tmp_path / "all", tiny_data)
        request.getfixturevalue("server")
        return make_download()

    return make_scenario
