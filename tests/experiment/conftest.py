import json
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def finished_run(
    cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a finished run on a coreset, whose network makes mistakes; do not change it."""
    out = tmp_path_factory.mktemp("finished")
    coreset = "coreset={size=200, selector={kind='random'}}"
    settings = ("--set", coreset, "--set", "train.schedule.max_learning_rate=3e-3")
    common = ("--data", tiny_data, "--out", out, "--seed", 3, "--json", "-q")
    return Path(json.loads(cli("train", tiny_preset, *common, *settings).out)["path"])
