"""Readers to fuzz: each with valid files around the one whose content is made up."""

import bz2
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from mnistcli.cli.output import in_one_line
from mnistcli.datasets.cached import MANIFEST
from mnistcli.datasets.load import load_examples
from mnistcli.datasets.pictures import read_pictures
from mnistcli.datasets.usps import read_usps
from mnistcli.display.tables import run_view, summary_view
from mnistcli.errors import MnistcliError
from mnistcli.experiment.check import check_run
from mnistcli.experiment.checked_figures import _check_log
from mnistcli.experiment.load_run import load_run
from mnistcli.experiment.machine import Options
from mnistcli.experiment.summary import summarize
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.seeds import read_batch
from mnistcli.experiment.training.setup import prepare, reopen
from mnistcli.preset.code.sources import collect_sources, find_networks
from mnistcli.preset.loading import load_preset, presets_folder
from mnistcli.preset.space import load_space
from mnistcli.records.search_log import SearchLog
from mnistcli.records.searches import SearchPlan
from mnistcli.records.store import read_document, read_record
from mnistcli.verdict.compare import compare_members
from tests.cli.test_search import SPACE
from tests.datasets.formats import FORMATS
from tests.faults.runs import interrupted_run

DOCUMENTS = Path(__file__).parents[1] / "records" / "v1" / "documents"
CODES = {2, 3, 4, 5}
MAX_LINE = 10_000


@dataclass(frozen=True)
class Target:
    """A reader, and the file that it reads."""

    folder: Path
    """With all files that it reads, all of them valid."""
    name: str
    """File whose content is made up, relative to the folder."""
    read: Callable[[Path], object]
    """Reads the folder."""

    @property
    def example(self) -> bytes:
        """A valid content."""
        return self._kept.read_bytes()

    @property
    def _kept(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}-example")

    def __post_init__(self) -> None:
        shutil.copyfile(self.folder / self.name, self._kept)

    def try_content(self, content: bytes) -> bool:
        """Read a content; return whether it was accepted.

        Raises:
            AssertionError: it was refused, but not in one line with a documented exit code.
            Exception: whatever else the reader lets through, which is a fault.
        """
        (self.folder / self.name).write_bytes(content)
        try:
            self.read(self.folder)
        except MnistcliError as error:
            line = in_one_line(str(error))
            assert error.exit_code in CODES, error
            assert 0 < len(line) < MAX_LINE, line[:100]
            return False
        return True


def read_preset(path: Path) -> None:
    """Read a preset, and show what is known before its training."""
    console = Console(file=StringIO(), width=80)
    console.print(summary_view(summarize(load_preset(str(path)))))


def read_result(folder: Path) -> None:
    """Read a record, show and compare it."""
    record = read_record(folder)
    run_view(record)
    compare_members([record, record])


def make_targets(folder: Path, tiny_data: Path, tiny_preset: Path) -> dict[str, Target]:
    """Make the files of all targets in a folder.

    Args:
        folder: new folder.
        tiny_data: a small data set in MNIST's format.
        tiny_preset: a small network.
    """
    return {
        **_make_data_targets(folder, tiny_data),
        **_make_text_targets(folder),
        **_make_run_targets(folder, tiny_data, tiny_preset),
    }


def _make_data_targets(folder: Path, tiny_data: Path) -> dict[str, Target]:
    images, labels = np.zeros((2, 28, 28), np.uint8), np.arange(2, dtype=np.uint8)
    images[:, 5:20, 12:15] = 200
    read = partial(load_examples, "test")
    targets = {}
    for name, kind in (("npz", "npz"), ("csv", "CSV"), ("csv.gz", "CSV in gzip")):
        own = folder / name
        own.mkdir(parents=True)
        FORMATS[kind](own, "test", images, labels)
        (file,) = own.iterdir()
        targets[name] = Target(own, file.name, read)
    for name, file in (("idx images", "t10k-images-idx3-ubyte.gz"),
                       ("idx labels", "t10k-labels-idx1-ubyte")):  # fmt: skip
        own = Path(shutil.copytree(tiny_data, folder / name))
        targets[name] = Target(own, file, read)
    for kind in ("png", "jpg", "gif", "bmp", "tiff", "webp"):
        own, page = folder / kind, BytesIO()
        own.mkdir()
        Image.fromarray(np.tile(images[0], (2, 2))).save(page, format=kind.replace("jpg", "jpeg"))
        (own / f"a.{kind}").write_bytes(page.getvalue())
        file = f"a.{kind}"
        targets[kind] = Target(own, file, lambda own, file=file: read_pictures([own / file]))
    usps = folder / "usps"
    usps.mkdir()
    line = "3 " + " ".join(f"{place}:{-1 + place % 3}" for place in range(1, 257)) + "\n"
    (usps / "usps.bz2").write_bytes(bz2.compress(line.encode() * 2))
    targets["usps"] = Target(usps, "usps.bz2", lambda own: read_usps(own / "usps.bz2"))
    cache = Path(shutil.copytree(tiny_data, folder / "fashion"))
    (cache / MANIFEST).write_text(json.dumps({"dataset": "fashion", "sha256": {}}))
    targets["manifest"] = Target(cache, MANIFEST, read)
    return targets


def _make_text_targets(folder: Path) -> dict[str, Target]:
    own = folder / "preset"
    own.mkdir(parents=True)
    shutil.copyfile(presets_folder() / "sevenconv.toml", own / "a.toml")
    space = folder / "space"
    space.mkdir()
    (space / "a.toml").write_text(SPACE)
    code = folder / "code"
    code.mkdir()
    (code / "net.py").write_text(
        "import torch\nfrom torch import nn\n\nclass Net(nn.Module):\n    pass\n"
    )

    def read_code(own: Path) -> None:
        find_networks((own / "net.py").read_bytes(), own / "net.py")
        collect_sources(own, "net.py")

    return {
        "preset": Target(own, "a.toml", lambda own: read_preset(own / "a.toml")),
        "space": Target(space, "a.toml", lambda own: load_space(own / "a.toml", "epochs<9")),
        "code": Target(code, "net.py", read_code),
    }


def _make_run_targets(folder: Path, tiny_data: Path, tiny_preset: Path) -> dict[str, Target]:
    preset = load_preset(str(tiny_preset), ["coreset={size=200, selector={kind='random'}}"])
    done = prepare(preset, Options(threads=1, data=tiny_data, out=folder / "runs"))
    run(done, lambda event: None)
    begun = interrupted_run(tiny_data, folder / "begun", 9)
    options = Options(threads=1)

    def copy(source: Path, name: str) -> Path:
        return Path(shutil.copytree(source, folder / name))

    return {
        "record": Target(copy(done.folder, "record"), "record.json", read_result),
        "events": Target(
            copy(done.folder, "events"),
            "events.jsonl",
            lambda own: [*_check_log(own, read_record(own))],
        ),
        "weights": Target(
            copy(done.folder, "weights"), "weights.safetensors", lambda own: load_run(own, options)
        ),
        "indices": Target(
            copy(done.folder, "indices"), "indices.npz", lambda own: check_run(own, options)
        ),
        "start": Target(copy(begun, "start"), "start.json", lambda own: reopen(own)),
        "state": Target(copy(begun, "state"), "state.safetensors", lambda own: reopen(own)),
        **_make_list_targets(folder, tiny_preset),
    }


def _make_list_targets(folder: Path, tiny_preset: Path) -> dict[str, Target]:
    batch = folder / "batch"
    batch.mkdir()
    document = {
        "schema": "mnistcli.batch/1", "device": "cpu", "precision": "auto", "threads": 1,
        "preset": load_preset(str(tiny_preset)).model_dump(mode="json"), "data_folder": None,
        "coreset_file": None, "runs": {"0": "tiny-s0"},
    }  # fmt: skip
    (batch / "x.batch.json").write_text(json.dumps(document))
    search = folder / "search"
    search.mkdir()
    (search / "search.jsonl").write_text(
        '{"event":"trial","network":0,"rung":0,"turn":0,"round":0,"loss":0.5,"accuracy":0.9,'
        '"train_seconds":2.5,"failed":null,"elapsed":3.5}\n'
    )
    plan = Path(shutil.copytree(DOCUMENTS, folder / "plan"))

    def read_plan(own: Path) -> None:
        read_document(own / "search-plan.json", SearchPlan, "the plan of a search")

    def read_search(own: Path) -> None:
        with SearchLog(own):
            pass

    return {
        "batch": Target(batch, "x.batch.json", lambda own: read_batch(own / "x.batch.json")),
        "search log": Target(search, "search.jsonl", read_search),
        "search plan": Target(plan, "search-plan.json", read_plan),
    }
