import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

from mnistcli.errors import FileError
from mnistcli.experiment.load_run import load_run
from mnistcli.experiment.machine import Options
from mnistcli.records.store import WEIGHTS


def test_a_run_has_its_own_weights_back(finished_run: Path) -> None:
    loaded = load_run(finished_run, Options(threads=1))
    kept = safetensors.torch.load_file(finished_run / WEIGHTS)
    own = loaded.model.state_dict()
    assert own.keys() == kept.keys()
    assert all(torch.equal(own[name], kept[name]) for name in kept)
    assert loaded.record.run_id == finished_run.name


def test_weights_of_another_network_are_refused(finished_run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished_run, tmp_path / "run"))
    weights = safetensors.torch.load_file(folder / WEIGHTS)
    name = "0.weight"
    safetensors.torch.save_file({**weights, name: weights[name][:1].clone()}, folder / WEIGHTS)
    with pytest.raises(FileError, match=r"weights\.safetensors"):
        load_run(folder, Options(threads=1))
