"""All 10,000 test images on an emulated device: every logit is the definition's."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mnistcli.experiment.convert_run import convert_run
from mnistcli.experiment.load_run import load_run
from mnistcli.experiment.machine import Options
from mnistcli.export.c_header import render_row_header
from mnistcli.export.emulators import emulate, find_obstacle
from mnistcli.export.targets import TARGETS, build

PART = 500
"""Images of one call of the emulator, which has to end within ten minutes."""


@pytest.mark.exhaustive
def test_a_device_of_16_kib_answers_all_test_images(cli: Callable, tmp_path: Path) -> None:
    target = TARGETS["cortex-m0-16k"]
    if not shutil.which(target.compiler) or not shutil.which(target.emulator):
        pytest.skip(f"no {target.compiler}, or no {target.emulator}")
    answer = cli("train", "cortex-m0-16k", "--set", "train.epochs=1", "--no-fail",
                 "--out", tmp_path / "runs", "--json")  # fmt: skip
    folder = Path(json.loads(answer.out)["path"])
    converted = convert_run(load_run(folder, Options(device="cpu")))
    header = render_row_header(converted.model, converted.facts)
    made = build(target, header, tmp_path, stream=True)
    assert find_obstacle(made) == ""
    assert len(converted.images) == 10_000
    for start in range(0, len(converted.images), PART):
        part = slice(start, start + PART)
        ran = emulate(made, converted.images[part])
        assert np.array_equal(ran.logits, converted.logits[part])
        assert target.ram is not None and made.sizes.ram + ran.stack + made.caller <= target.ram
