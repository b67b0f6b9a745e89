"""Whatever is handed over, the answer is a result or one line with an exit code."""

import bz2
import json
import random
import re
import shutil
import signal
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import StringIO
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from mnistcli.cli.output import in_one_line
from mnistcli.datasets.cached import MANIFEST, MANIFESTS, Manifest, hash_file
from mnistcli.datasets.examples import fingerprint
from mnistcli.datasets.load import load_examples
from mnistcli.datasets.pictures import read_pictures
from mnistcli.datasets.usps import read_usps
from mnistcli.display.compare import comparison_view
from mnistcli.display.tables import run_view, summary_view
from mnistcli.errors import FileError, MnistcliError
from mnistcli.experiment.load_run import load_run
from mnistcli.experiment.machine import Options
from mnistcli.experiment.summary import summarize
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.seeds import read_batch
from mnistcli.experiment.training.setup import prepare, reopen
from mnistcli.preset.loading import list_presets, load_preset, presets_folder, validate_preset
from mnistcli.preset.schema import Preset
from mnistcli.records.arrays import read_indices, write_indices
from mnistcli.records.store import read_record
from mnistcli.verdict.compare import compare_members
from tests.cli.test_nested import NESTED
from tests.conftest import COUNTS, TINY_PRESET, Counts
from tests.datasets.formats import FORMATS
from tests.faults.runs import interrupted_run

pytestmark = pytest.mark.faults
SECONDS = 20
REFUSED, ACCEPTED = "hostile cases refused", "mutated cases that were still valid"


@contextmanager
def time_limit(seconds: int = SECONDS) -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"it took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def attempt(work: Callable[[], object], counts: Counts = COUNTS) -> bool:
    """Whether it was accepted; anything but a documented error is a failure of the test."""
    with time_limit():
        try:
            work()
        except MnistcliError as error:
            assert error.exit_code in (2, 3, 4, 5), error
            line = in_one_line(str(error))
            assert line
            assert len(line) < 10_000
            counts[REFUSED] += 1
            return False
    counts[ACCEPTED] += 1
    return True


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, cut out, doubled or put in."""
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        place = rng.randrange(len(changed) + 1)
        match rng.randrange(7):
            case 0 if changed:
                changed[place % len(changed)] ^= 1 << rng.randrange(8)
            case 1:
                del changed[place : place + rng.choice([1, 8, 1_000])]
            case 2:
                changed[place:place] = changed[place : place + rng.choice([1, 20, 300])]
            case 3:
                changed[place:place] = rng.randbytes(rng.choice([1, 4, 8]))
            case 4:
                nasty = [b"-1", b"1e999", b"nan", b"9" * 5_000, b"\0", b"\xff\xfe", b"[" * 50, b"{"]
                changed[place:place] = rng.choice(nasty)
            case 5 if changed:
                changed[place % len(changed)] = rng.randrange(256)
            case 6 if rng.random() < 0.2:
                del changed[place:]
    return bytes(changed)


def swap_values(value: object, rng: random.Random) -> object:
    """A JSON document with something else somewhere in it."""
    nasty = [
        None, True, -1, 0, 10**18, 1e308, 0.5, "", "x" * 5_000, "../x", "\x1b[31m", [], {},
        ["a"], {"kind": "conv"}, "\ud800",
    ]  # fmt: skip
    if isinstance(value, dict) and value and rng.random() < 0.95:
        key = rng.choice(list(value))
        if rng.random() < 0.05:
            return {name: each for name, each in value.items() if name != key}
        return value | {key: swap_values(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        place = rng.randrange(len(value))
        return [*value[:place], swap_values(value[place], rng), *value[place + 1 :]]
    return rng.choice(nasty)


def show_preset(preset: Preset) -> None:
    """All that is said of a preset without training it."""
    console = Console(file=StringIO(), width=80)
    console.print(summary_view(summarize(preset)))
    if preset.reference:
        console.print(comparison_view(compare_members([preset])))


def read_preset(path: Path) -> None:
    show_preset(load_preset(str(path)))


def test_mutated_files_of_the_cache(tiny_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "fashion"
    shutil.copytree(tiny_data, folder)
    hashes = {path.name: hash_file(path) for path in folder.iterdir()}
    manifest = MANIFESTS.dump_json(Manifest("fashion", hashes))
    rng = random.Random(8)
    for _ in range(300):
        (folder / MANIFEST).write_bytes(mutate(manifest, rng))
        attempt(partial(load_examples, "test", folder))
    for name in ("../fashion", "/dev/zero", "a\0b", "x" * 5_000, "\ud800"):
        (folder / MANIFEST).write_text(json.dumps({"dataset": "usps", "sha256": {name: "0"}}))
        assert not attempt(partial(load_examples, "test", folder))


def test_mutated_text_of_usps(tmp_path: Path) -> None:
    line = "3 " + " ".join(f"{place}:{-1 + place % 3}" for place in range(1, 257)) + "\n"
    rng, path = random.Random(9), tmp_path / "usps.bz2"
    for _ in range(300):
        content = mutate(line.encode() * 3, rng)
        path.write_bytes(bz2.compress(content) if rng.random() < 0.9 else content)
        attempt(partial(read_usps, path))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("value", "9" * 400), ("value", "-5"), ("value", "1e300"),
        ("sd_test_accuracy", "1e200"), ("mean_test_accuracy", "1.5"), ("seeds", "[1, 1, 1, 1, 1]"),
        ("test_losses", "[1e308, 1e308, 1e308, 1e308, 1e308]"), ("median_train_seconds", "1e308"),
    ],
)  # fmt: skip
def test_figures_of_any_size(field: str, value: str, tmp_path: Path, counts: Counts) -> None:
    content = (presets_folder() / "sevenconv.toml").read_text()
    path, before = tmp_path / "mutated.toml", rf"\b{field} = (\[.*?\]|[^,\n]*)"
    path.write_text(re.sub(before, f"{field} = {value}", content, count=1))
    assert not attempt(partial(read_preset, path), counts)


@pytest.mark.parametrize("name", list_presets())
def test_mutated_presets(name: str, tmp_path: Path, counts: Counts) -> None:
    content = (presets_folder() / f"{name}.toml").read_bytes()
    rng = random.Random(name)
    path = tmp_path / "mutated.toml"
    for _ in range(40):
        path.write_bytes(mutate(content, rng))
        attempt(partial(read_preset, path), counts)


@pytest.mark.parametrize("name", list_presets())
def test_presets_with_other_values(name: str, counts: Counts) -> None:
    content = load_preset(name).model_dump(mode="json")
    rng = random.Random(name)
    for _ in range(30):
        changed = swap_values(content, rng)
        if isinstance(changed, dict):
            attempt(lambda data=changed: show_preset(validate_preset(data, "it")), counts)


@pytest.mark.parametrize("number", range(4))
def test_nested_presets_with_other_values(number: int, tmp_path: Path, counts: Counts) -> None:
    rng, path = random.Random(number), tmp_path / "mutated.toml"
    path.write_text(NESTED)
    content = load_preset(str(path)).model_dump(mode="json")
    for _ in range(30):
        layers = swap_values(content["model"]["layers"], rng)
        model = {"layers": layers, "width": rng.choice([1, 0.1, 3.7]), "depth": rng.choice([1, 40])}
        changed = content | {"model": model}
        attempt(lambda data=changed: show_preset(validate_preset(data, "it")), counts)
        path.write_bytes(mutate(NESTED.encode(), rng))
        attempt(partial(read_preset, path), counts)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(layer=st.dictionaries(st.sampled_from(
    ["kind", "out_channels", "kernel_size", "stride", "padding", "groups", "out_features", "x"]
), json_values | st.sampled_from(["conv", "linear", "max_pool"])))  # fmt: skip
def test_layers_of_any_kind(layer: dict) -> None:
    last = [{"kind": "global_average_pool"}, {"kind": "linear", "out_features": 10}]
    train = {"epochs": 1, "batch_size": 10, "optimizer": {"kind": "adam", "learning_rate": 0.1}}
    data = {"title": "x", "model": {"layers": [layer, *last]}, "train": train}
    attempt(lambda: summarize(validate_preset(data, "it")))


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.text() | st.binary().map(lambda content: content.decode("latin-1")))
def test_overrides_of_any_kind(text: str) -> None:
    attempt(lambda: load_preset("sprint", [text]))
    attempt(lambda: load_preset("sprint", [f"train.epochs={text}"]))


@pytest.fixture(scope="module")
def ended(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ended")
    path = folder / "tiny.toml"
    path.write_text(TINY_PRESET)
    preset = load_preset(str(path), ["coreset={size=200, selector={kind='random'}}"])
    experiment = prepare(preset, Options(threads=1, data=tiny_data, out=folder))
    run(experiment, lambda event: None)
    return experiment.folder


@pytest.fixture(scope="module")
def begun(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return interrupted_run(tiny_data, tmp_path_factory.mktemp("begun"), 9)


@pytest.fixture
def older() -> Path:
    """A run of mnistcli 0.1."""
    return Path(__file__).parents[1] / "records" / "v1" / "finished" / "phases"


@pytest.fixture
def copied(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Path]:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(request.getfixturevalue(name), tmp_path / name))

    return copy


@pytest.mark.parametrize("source", ["ended", "older"])
def test_mutated_records(source: str, copied: Callable, counts: Counts) -> None:
    folder, rng = copied(source), random.Random(1)
    path = folder / "record.json"
    content = path.read_bytes()

    def read() -> None:
        record = read_record(folder)
        run_view(record)
        compare_members([record, record])

    for number in range(400):
        if number % 2:
            path.write_bytes(mutate(content, rng))
        else:
            path.write_text(json.dumps(swap_values(json.loads(content), rng)))
        attempt(read, counts)


def test_mutated_weights(copied: Callable, counts: Counts) -> None:
    folder, rng = copied("ended"), random.Random(2)
    path = folder / "weights.safetensors"
    content = path.read_bytes()
    for number in range(250):
        head = mutate(content[:600], rng) + content[600:]
        path.write_bytes(head if number % 2 else mutate(content, rng))
        attempt(partial(load_run, folder, Options(threads=1)), counts)


def test_weights_of_other_names_shapes_and_types(copied: Callable, counts: Counts) -> None:
    folder = copied("ended")
    path = folder / "weights.safetensors"
    good = safetensors.torch.load(path.read_bytes())
    name = next(name for name, value in good.items() if value.ndim == 4)
    others = [
        {}, {**good, "more": torch.zeros(1)}, {k: v for k, v in good.items() if k != name},
        {**good, name: good[name].double()}, {**good, name: good[name][:1].contiguous()},
        {**good, name: good[name].flatten()}, {**good, name: torch.zeros(10**6)},
    ]  # fmt: skip
    for tensors in others:
        path.write_bytes(safetensors.torch.save(tensors))
        assert not attempt(partial(load_run, folder, Options(threads=1)), counts)
    header = b'{"' + b"x" * (20 << 20) + b'"'
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    assert not attempt(partial(load_run, folder, Options(threads=1)), counts)
    path.unlink()
    path.mkdir()
    assert not attempt(partial(load_run, folder, Options(threads=1)), counts)


def test_mutated_states(copied: Callable, counts: Counts) -> None:
    folder, rng = copied("begun"), random.Random(3)
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    for number in range(200):
        for path in folder.iterdir():
            path.unlink()
        for name, kept in content.items():
            (folder / name).write_bytes(kept)
        name = "start.json" if number % 4 == 0 else "state.safetensors"
        kept = content[name]
        if name == "start.json":
            document = swap_values(json.loads(kept), rng)
            (folder / name).write_text(json.dumps(document))
        elif number % 4 == 1:
            tensors = safetensors.torch.load(kept)
            key = rng.choice(sorted(tensors))
            tensors[key] = rng.choice([tensors[key][:0].clone(), torch.zeros(3)]) if (
                tensors[key].ndim
            ) else torch.zeros(3)  # fmt: skip
            (folder / name).write_bytes(safetensors.torch.save(tensors))
        else:
            (folder / name).write_bytes(mutate(kept[:3_000], rng) + kept[3_000:])
        attempt(lambda: run(reopen(folder), lambda event: None), counts)


def test_mutated_batches(copied: Callable, tmp_path: Path, counts: Counts) -> None:
    path = tmp_path / "x.batch.json"
    document = {
        "schema": "mnistcli.batch/1", "preset": load_preset("sprint").model_dump(mode="json"),
        "device": "cpu", "precision": "auto", "threads": 1, "data_folder": None,
        "coreset_file": None, "runs": {"0": "sprint-s0"},
    }  # fmt: skip
    path.write_text(json.dumps(document))
    assert attempt(partial(read_batch, path), counts)
    for number in range(100):
        path.write_text(json.dumps(swap_values(document, random.Random(number))))
        attempt(partial(read_batch, path), counts)
    document["runs"] = {"0": "../../outside"}
    path.write_text(json.dumps(document))
    assert read_batch(path).folder(0) == tmp_path / "outside"
    for name in ("", "..", "a/..", "a\0b", "a\0", "/"):
        path.write_text(json.dumps({**document, "runs": {"0": name}}))
        with pytest.raises(FileError, match="is not a batch of runs: runs"):
            read_batch(path)
    path.write_text(json.dumps({**document, "runs": {}}))
    with pytest.raises(FileError, match="is not a batch of runs: runs"):
        read_batch(path)


def test_mutated_idx_files(tiny_data: Path, tmp_path: Path, counts: Counts) -> None:
    rng = random.Random(4)
    content = {path.name: path.read_bytes() for path in tiny_data.iterdir()}
    for _ in range(300):
        for name, kept in content.items():
            (tmp_path / name).write_bytes(kept)
        name = rng.choice(list(content))
        kept = content[name]
        changed = mutate(kept[:40], rng) + kept[40:] if rng.random() < 0.5 else None
        (tmp_path / name).write_bytes(changed or mutate(kept, rng))
        attempt(partial(load_examples, "train", tmp_path), counts)
        attempt(partial(load_examples, "test", tmp_path), counts)


@pytest.mark.parametrize("name", ["QMNIST", "npz", "CSV", "CSV in gzip", "classes"])
def test_mutated_data(name: str, tmp_path: Path, counts: Counts) -> None:
    rng = random.Random(9)
    images = np.zeros((2, 28, 28), np.uint8)
    FORMATS[name](tmp_path, "test", images, np.arange(2, dtype=np.uint8))
    files = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    read = partial(load_examples, "test", tmp_path)
    assert attempt(read, counts)
    for number in range(150):
        path = rng.choice(list(files))
        head = files[path][: rng.choice([40, 10_000])] if number % 2 else files[path]
        path.write_bytes(mutate(head, rng) + files[path][len(head) :])
        attempt(read, counts)
        path.write_bytes(files[path])


def test_mutated_pictures(tmp_path: Path, counts: Counts) -> None:
    page = np.zeros((60, 50), dtype=np.uint8)
    page[20:40, 22:28] = 200
    rng = random.Random(5)
    for ending in ("png", "jpg", "gif", "bmp", "tiff", "webp", "ico"):
        path = tmp_path / f"a.{ending}"
        Image.fromarray(page).save(path)
        content = path.read_bytes()
        assert attempt(partial(read_pictures, [path]), counts) == (ending != "ico")
        for _ in range(80):
            path.write_bytes(mutate(content, rng))
            attempt(partial(read_pictures, [path]), counts)


def test_a_picture_of_a_hundred_million_pixels_is_refused(tmp_path: Path, counts: Counts) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (10_000, 10_000)).save(path)
    assert path.stat().st_size < 100_000
    assert not attempt(partial(read_pictures, [path]), counts)


def test_mutated_indices(tiny_data: Path, tmp_path: Path, counts: Counts) -> None:
    examples = load_examples("train", tiny_data)
    path = write_indices(tmp_path, np.arange(50), fingerprint(examples))
    content, rng = path.read_bytes(), random.Random(6)
    read = partial(read_indices, path, fingerprint(examples), len(examples))
    assert attempt(read, counts)
    for _ in range(250):
        path.write_bytes(mutate(content, rng))
        attempt(read, counts)
    shape = b"{'descr': '<i8', 'fortran_order': False, 'shape': (10000000000000,)}"
    header = (b"\x93NUMPY\x01\x00v\x00" + shape).ljust(127) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("indices.npy", header)
    assert not attempt(read, counts)


NAMES = [
    "../x", "/etc/passwd", "a\0b", "[/bold]", "[red]x[/red]", "\x1b]0;taken\x07", "x" * 5_000,
    "\ud800", "", " ", "sprint\n", "..", ".", "~", "$(id)", "con", "-", "a/b", "\\\\host\\x",
    "presets/../sprint.toml", "/dev/null", "/dev/zero", "/proc/self/mem", "\u202eevil",
]  # fmt: skip
COMMANDS = [
    ("summary",), ("train",), ("presets", "show"), ("presets", "validate"), ("evaluate",),
    ("compare",), ("report",), ("report", "--csv"), ("train", "--resume"), ("train", "--from"),
    ("coreset",), ("curriculum",), ("evaluate", "/tmp", "--images"), ("train", "--data"),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_names_of_any_kind(
    command: tuple, cli: Callable, counts: Counts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        with time_limit():
            answer = cli(*command, name)
        assert answer.code in (2, 4), (command, name, answer)
        assert answer.err.count("\n") == 1 or "Usage:" in answer.err, (command, name, answer.err)
        assert "\x1b" not in answer.out + answer.err
        assert "Traceback" not in answer.err
        counts[REFUSED] += 1
    assert not list(tmp_path.iterdir())


TEXTS = [
    "\x1b]0;taken\x07", "\x1b[31m", "\x9b31m", "a\nb", "a\rb", "\b", "\u202eevil", "\u2028",
    "x" * 5_000, "[red]x[/red]", "[/bold]", "|", "",
]  # fmt: skip
SHOWN_BY = [
    ("summary",), ("summary", "--json"), ("presets", "validate"), ("presets", "show"), ("compare",),
    ("compare", "--json"), ("train", "--dry-run"),
]  # fmt: skip


@pytest.mark.parametrize("field", ["title", "source", "where", "command", "machine", "version"])
def test_texts_of_any_kind(field: str, cli: Callable, counts: Counts, tmp_path: Path) -> None:
    content = (presets_folder() / "sevenconv.toml").read_text()
    path = tmp_path / "hostile.toml"
    for text in TEXTS:
        line = f"{field} = {json.dumps(text)}"
        path.write_text(re.sub(rf'\b{field} = ".*?"', lambda _, line=line: line, content, count=1))
        for command in SHOWN_BY:
            answer = cli(*command, path)
            assert answer.code == (0 if text.isprintable() and len(text) < 1_000 else 2), answer
            assert all(shown.isprintable() for shown in (answer.out + answer.err).split("\n"))
            counts[REFUSED if answer.code else ACCEPTED] += 1


@pytest.mark.parametrize(
    "change",
    [
        "model.layers.0.out_channels=1000000000000",
        "model.layers.0.kernel_size=1000000000",
        "model.layers=[{kind='flatten'}, {kind='linear', out_features=10000000}, "
        "{kind='linear', out_features=1000000}, {kind='linear', out_features=10}]",
        "train.epochs=99999999999",
    ],
)
def test_sizes_are_refused_before_memory_is_asked_for(
    change: str, cli: Callable, counts: Counts, tmp_path: Path
) -> None:
    with time_limit(2):
        answer = cli("train", "sprint", "--set", change, "--out", tmp_path)
    assert answer.code == 2
    assert not list(tmp_path.iterdir())
    counts[REFUSED] += 1


def test_two_thousand_cases_were_tried(request: pytest.FixtureRequest, counts: Counts) -> None:
    """Count the cases of this file, whose last test this is."""
    chosen = {item.name.partition("[")[0] for item in request.session.items}
    names = {name for name in globals() if name.startswith("test_")}
    if not names <= chosen:
        pytest.skip("only a part of the file was selected")
    assert counts[REFUSED] >= 2_000
    assert counts[ACCEPTED] >= 200
