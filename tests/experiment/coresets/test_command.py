import json
from pathlib import Path

import numpy as np
import pytest

from mnistcli.engine.events import Event, StageStarted
from mnistcli.errors import PresetError
from mnistcli.experiment.coresets.command import select
from mnistcli.experiment.machine import Options
from mnistcli.preset.loading import load_preset

CORESET = "coreset={size=100, selector={kind='random'}}"


@pytest.mark.parametrize("with_sheet", [False, True])
def test_a_choice_leaves_its_indices_and_its_document(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, with_sheet: bool
) -> None:
    events: list[Event] = []
    preset = load_preset(str(tiny_preset), [CORESET])
    options = Options(seed=5, threads=1, data=tiny_data, out=tmp_path)
    found = select(preset, options, events.append, with_sheet=with_sheet)
    (folder,) = tmp_path.iterdir()
    document = json.loads((folder / "coreset.json").read_text(encoding="utf-8"))
    assert document == json.loads(found.document.model_dump_json(by_alias=True))
    indices = np.load(folder / "indices.npz")["indices"]
    assert len(indices) == found.document.size == 100
    # A random choice is as good as a random choice.
    assert found.document.coverage == found.document.random_coverage
    stages = [event.stage for event in events if isinstance(event, StageStarted)]
    assert any("proxy" in stage for stage in stages) == bool(found.sheet) == with_sheet


def test_without_a_size_nothing_is_left(tiny_preset: Path, tmp_path: Path) -> None:
    with pytest.raises(PresetError, match="--size"):
        select(load_preset(str(tiny_preset)), Options(out=tmp_path), print, with_sheet=False)
    assert not list(tmp_path.iterdir())
