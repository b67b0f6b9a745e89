"""Data sets by name, from a server on this machine."""

import bz2
import hashlib
import json
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from mnistcli.datasets.cached import MANIFEST, cached_path
from mnistcli.datasets.load import load_examples
from mnistcli.datasets.remote import EMNIST_DIGITS, RemoteFile, list_files
from mnistcli.display.downloads import show_download
from mnistcli.errors import FileError
from mnistcli.experiment.downloads import cache, https
from mnistcli.experiment.downloads.cache import obtain
from mnistcli.experiment.machine import Options
from mnistcli.experiment.training.setup import prepare
from mnistcli.preset.loading import load_preset
from mnistcli.process import Stopped
from mnistcli.records import files
from mnistcli.records.sources import DataSource
from tests.server import Server, make_certificate, serve

NAMES = ("fashion", "kmnist", "qmnist", "emnist-digits", "usps")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def server(certificate: Path, tiny_data: Path) -> Iterator[Server]:
    with serve(certificate) as serving:
        serving.contents = {path.name: path.read_bytes() for path in tiny_data.iterdir()}
        yield serving


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNISTCLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def offer(
    monkeypatch: pytest.MonkeyPatch,
    server: Server,
    *behaviours: str,
    members: tuple[str, ...] = (),
) -> None:
    """Let every data set have the server's files, each from mirrors that behave so."""
    listed = [
        RemoteFile(
            name,
            tuple(server.url(each, name) for each in behaviours or ("good",)),
            hashlib.md5(content).hexdigest(),
            members,
        )
        for name, content in sorted(server.contents.items())
    ]
    monkeypatch.setattr(cache, "list_files", lambda name: listed)


def silent(file: str, done: int, size: int | None) -> None:
    """Show nothing."""


@pytest.mark.slow  # it imports torchvision
@pytest.mark.parametrize("name", NAMES)
def test_torchvision_knows_addresses_and_md5_of_all(name: str) -> None:
    found = list_files(name)
    assert len(found) == {"emnist-digits": 1, "usps": 2}.get(name, 4)
    for file in found:
        assert len(file.md5) == 32
        assert file.urls
        assert all(url.startswith("https://") for url in file.urls)
        assert all(url.endswith(f"/{file.name}") for url in file.urls)


def test_a_torchvision_that_cannot_be_imported_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(
        FileError, match="cannot import torchvision: .* Install the one that belongs"
    ):
        obtain("kmnist", silent)


def test_mnist_is_part_of_the_package() -> None:
    assert load_examples("test", obtain("mnist", silent)).labels.shape == (10_000,)
    assert not cached_path("fashion").parent.exists()


@pytest.mark.parametrize("behaviour", ["good", "moved", "unsized"])
def test_a_data_set_is_downloaded_once(
    behaviour: str, server: Server, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, server, behaviour)
    told: list[tuple[str, int, int | None]] = []
    folder = obtain("fashion", lambda *event: told.append(event))
    assert folder == cached_path("fashion")
    assert obtain("fashion", silent) == folder
    assert set(server.asked.values()) == {1}
    assert {what for what, _, _ in told} == {f"downloading {name}" for name in server.contents}
    last = len(server.contents[max(server.contents)])
    assert told[-1][1:] == (last, None if behaviour == "unsized" else last)
    for split in ("train", "test"):
        found, expected = load_examples(split, folder), load_examples(split, tiny_data)
        assert torch.equal(found.images, expected.images)
        assert torch.equal(found.labels, expected.labels)
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["dataset"] == "fashion"
    assert manifest["sha256"] == {
        name: hashlib.sha256(content).hexdigest() for name, content in server.contents.items()
    }
    assert {path.name for path in folder.parent.iterdir()} <= {"fashion", ".fashion.lock"}


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("missing", "answered 404 Not Found"),
        ("short", "stopped after"),
        ("corrupt", "sent a file with another MD5"),
        ("huge", "has more than 268,435,456 bytes"),
        ("stalled", "sent nothing for 0.3 s"),
        ("http", "redirects to an address without https"),
        ("circle", "answered 302 Found"),
    ],
)
def test_the_next_mirror_is_tried_and_the_last_one_is_an_error(
    behaviour: str, reason: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "TIMEOUT_SECONDS", 0.3)
    first = min(server.contents)
    offer(monkeypatch, server, behaviour)
    with pytest.raises(FileError, match=f"cannot download kmnist, file {first}: .*{reason}") as one:
        obtain("kmnist", silent)
    assert "\n" not in str(one.value)
    assert {path.name for path in cached_path("kmnist").parent.iterdir()} <= {".kmnist.lock"}
    if behaviour != "stalled":
        offer(monkeypatch, server, behaviour, "good")
        assert len(load_examples("test", obtain("kmnist", silent))) == 200


def test_a_plain_http_address_is_not_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [RemoteFile("a", (server.url("good", "a").replace("https", "http"),), "0" * 32)]
    monkeypatch.setattr(cache, "list_files", lambda name: listed)
    with pytest.raises(FileError, match="is an address without https"):
        obtain("kmnist", silent)
    assert not server.asked


def test_a_certificate_that_nobody_has_signed_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    offer(monkeypatch, server)
    with pytest.raises(FileError, match="self-signed certificate"):
        obtain("kmnist", silent)


def test_a_slow_server_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "PATIENCE_SECONDS", 0)
    monkeypatch.setattr(https, "MIN_SPEED", 1 << 50)
    offer(monkeypatch, server)
    with pytest.raises(FileError, match="is too slow"):
        obtain("kmnist", silent)


def test_two_at_once_download_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, server)
    found: list[Path] = []
    others_wait = threading.Event()

    def get(tell: cache.Tell) -> threading.Thread:
        thread = threading.Thread(target=lambda: found.append(obtain("fashion", tell)))
        thread.start()
        return thread

    started = threading.Event()

    def hold(what: str, done: int, size: int | None) -> None:
        started.set()
        assert others_wait.wait(30)

    def note(what: str, done: int, size: int | None) -> None:
        assert what.startswith("waiting for another process")
        others_wait.set()

    first = get(hold)
    assert started.wait(30)
    second = get(note)
    for thread in (first, second):
        thread.join()
    assert found == [cached_path("fashion")] * 2
    assert set(server.asked.values()) == {1}


def test_what_stops_or_was_killed_leaves_nothing_that_counts(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(file: str, done: int, size: int | None) -> None:
        if done and min(server.contents) not in file:
            raise Stopped(15)

    offer(monkeypatch, server)
    with pytest.raises(Stopped):
        obtain("fashion", stop)
    folder = cached_path("fashion")
    assert {path.name for path in folder.parent.iterdir()} <= {".fashion.lock"}
    leftover = folder.with_name(".fashion.99999")
    leftover.mkdir()
    (leftover / min(server.contents)).write_bytes(b"half")
    assert len(load_examples("test", obtain("fashion", silent))) == 200
    assert not leftover.exists()


KILLED = """
import hashlib, sys
from mnistcli.datasets.remote import RemoteFile
from mnistcli.experiment.downloads import cache

first, second = (RemoteFile(url.rpartition("/")[2], (url,), md5) for url, md5 in zip(
    sys.argv[1::2], sys.argv[2::2]))
cache.list_files = lambda name: (first, second)
cache.obtain("fashion", lambda what, done, size: print(what, done, flush=True))
"""


@pytest.mark.faults
def test_a_killed_download_begins_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, *_ = sorted(server.contents)
    addresses = (server.url("good", first), server.url("stalled", second))
    hashes = [hashlib.md5(server.contents[name]).hexdigest() for name in (first, second)]
    words = [word for pair in zip(addresses, hashes, strict=True) for word in pair]
    line = [sys.executable, "-c", KILLED, *words]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        while not (said := process.stdout.readline()).startswith(f"downloading {second}"):
            assert said, "it ended"
        process.kill()
    folder = cached_path("fashion")
    assert (folder.with_name(f".fashion.{process.pid}") / first).exists()
    assert not folder.exists()
    offer(monkeypatch, server)
    assert len(load_examples("test", obtain("fashion", silent))) == 200
    assert {path.name for path in folder.parent.iterdir()} <= {"fashion", ".fashion.lock"}


@pytest.mark.parametrize("operation", ["make_folder", "rename", "sync_folder"])
def test_a_full_disk_is_one_line(
    operation: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **_: object) -> None:
        raise OSError(28, "No space left on device")

    offer(monkeypatch, server)
    monkeypatch.setattr(files, operation, fail)
    with pytest.raises(FileError, match="cannot write to the cache .*: No space left on device"):
        obtain("fashion", silent)
    assert not cached_path("fashion").exists()


@pytest.mark.parametrize("change", ["flip", "remove", "manifest", "no manifest"])
def test_a_damaged_cache_is_one_line(
    change: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, server)
    folder = obtain("fashion", silent)
    path = folder / (MANIFEST if "manifest" in change else min(server.contents))
    content = path.read_bytes()
    path.unlink()
    if change in ("flip", "manifest"):
        path.write_bytes(content[:-1])
    with pytest.raises(FileError, match="the cached data set is damaged") as damaged:
        load_examples("test", obtain("fashion", silent))
    assert f'Delete "{folder}" and run again with --dataset fashion.' in str(damaged.value)


def test_emnist_is_turned_and_only_its_digits_are_kept(
    server: Server, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("gzip/emnist-letters-train-images-idx3-ubyte.gz", b"letters")
        for member in EMNIST_DIGITS:
            name = member.replace("gzip/emnist-digits-", "").replace("test", "t10k")
            source = next(path for path in tiny_data.iterdir() if path.name.startswith(name[:12]))
            archive.writestr(member, source.read_bytes())
    server.contents = {"gzip.zip": packed.getvalue()}
    offer(monkeypatch, server, members=EMNIST_DIGITS)
    folder = obtain("emnist-digits", silent)
    names = {Path(member).name for member in EMNIST_DIGITS}
    assert {path.name for path in folder.iterdir()} == {*names, MANIFEST}
    found, plain = load_examples("train", folder), load_examples("train", tiny_data)
    assert torch.equal(found.images, plain.images.transpose(2, 3))


@pytest.mark.parametrize("content", ["no archive", "missing member"])
def test_an_archive_without_the_digits_is_one_line(
    content: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("gzip/other", b"")
    server.contents = {"gzip.zip": b"x" if content == "no archive" else packed.getvalue()}
    offer(monkeypatch, server, members=EMNIST_DIGITS)
    with pytest.raises(FileError, match="cannot unpack gzip.zip"):
        obtain("emnist-digits", silent)


def write_usps(images: np.ndarray, labels: np.ndarray) -> bytes:
    lines = (
        f"{label + 1} " + " ".join(f"{i}:{v:.6g}" for i, v in enumerate(image.ravel(), start=1))
        for image, label in zip(images, labels, strict=True)
    )
    return bz2.compress("\n".join(lines).encode() + b"\n")


def test_usps_is_scaled_and_centred(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.full((12, 16, 16), -1.0)
    images[:, 2:14, 6:12] = 1
    images[11] = -1
    labels = np.arange(12) % 10
    server.contents = {
        "usps.bz2": write_usps(images, labels),
        "usps.t.bz2": write_usps(images[:5], labels[:5]),
    }
    offer(monkeypatch, server)
    folder = obtain("usps", silent)
    train = load_examples("train", folder)
    assert train.labels.tolist() == labels.tolist()
    assert len(load_examples("test", folder)) == 5
    ink = train.images[0, 0].float()
    rows, columns = (ink.sum(dim=axis) for axis in (1, 0))
    places = torch.arange(28) + 0.5
    for line, extent in ((rows, 15), (columns, 7.5)):
        assert abs(float((line * places).sum() / line.sum()) - 14) <= 0.5
        assert abs(float(line.sum() / line.max()) - extent) < 1
    assert int(ink.max()) == 255
    assert int(train.images[11].max()) == 0


@pytest.mark.parametrize(
    "line", [b"11 1:0", b"x", b"1 1:0 2:0", b"1 " + b" ".join(b"%d:2" % i for i in range(1, 257))]
)
def test_another_usps_is_one_line(
    line: bytes, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.contents = {"usps.bz2": bz2.compress(line), "usps.t.bz2": bz2.compress(line)}
    offer(monkeypatch, server)
    with pytest.raises(FileError, match=r'cannot read ".*usps.bz2": line 1: '):
        obtain("usps", silent)
    assert not cached_path("usps").exists()


def test_without_a_network_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **_: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    listed = [RemoteFile("a.gz", ("https://one.example/a.gz", "https://two.example/a.gz"), "")]
    monkeypatch.setattr(cache, "list_files", lambda name: listed)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    reason = "Name or service not known"
    with pytest.raises(FileError, match=f"one.example: {reason}; two.example: {reason}. Try again"):
        obtain("qmnist", silent)


@pytest.mark.slow
def test_the_command_line_downloads_what_is_named_and_runs_read_it_again(
    cli: Callable,
    server: Server,
    tiny_preset: Path,
    tmp_path: Path,
    quick_speed: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offer(monkeypatch, server)
    monkeypatch.setenv("MNISTCLI_DATA", "/nowhere")
    trained = cli("train", tiny_preset, "--dataset", "fashion", "--out", tmp_path, "--json")
    assert trained.code == 0, trained.err
    assert trained.err.count("fashion  downloading ") == 4
    monkeypatch.delenv("MNISTCLI_DATA")
    record = json.loads(trained.out)
    assert (record["data"]["source"], record["data"]["dataset"]) == ("fashion", "fashion")
    run = record["path"]
    assert " images of fashion" in cli("train", "--resume", run).out
    assert "fashion; SHA-256 of training and test images" in cli("runs", "show", run).out
    again = cli("evaluate", run, "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["data"] == "fashion"
    assert json.loads(again.out)["matches_record"]
    assert "downloading" not in cli("train", "--from", run, "--out", tmp_path, "-q").err
    elsewhere = json.loads(cli("evaluate", run, "--dataset", "mnist", "--json").out)
    assert (elsewhere["data"], elsewhere["total"]) == ("MNIST (embedded)", 10_000)
    shown = json.loads(cli("data", "show", "--dataset", "fashion", "--json").out)
    assert (shown["source"], shown["dataset"]) == ("fashion", "fashion")
    assert shown["folder"] == str(cached_path("fashion"))
    assert set(server.asked.values()) == {1}

    shutil.rmtree(cached_path("fashion"))
    missing = cli("evaluate", run)
    assert missing.code == 4
    assert missing.err.count("\n") == 1
    assert missing.err.endswith("Download it with --dataset fashion.\n")
    assert set(server.asked.values()) == {1}
    assert cli("evaluate", run, "--dataset", "fashion").code == 0
    assert set(server.asked.values()) == {2}


def test_dataset_and_data_cannot_be_combined(cli: Callable, tmp_path: Path) -> None:
    answer = cli("train", "--dataset", "fashion", "--data", tmp_path)
    assert answer.code == 2
    assert "--dataset cannot be combined with --data" in answer.err


@pytest.mark.slow
def test_batches_coresets_grades_and_comparisons_tell_the_data_set(
    cli: Callable,
    server: Server,
    tiny_preset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offer(monkeypatch, server)
    out = ("--dataset", "kmnist", "--out", tmp_path, "-q", "--set", "train.epochs=1", "--json")
    batch = cli("train", tiny_preset, "--seeds", "0,1", *out)
    assert [run["data"]["dataset"] for run in json.loads(batch.out)["runs"]] == ["kmnist"] * 2
    coreset = ("--set", "coreset={size=200, selector={kind='random'}}")
    selected = cli("coreset", tiny_preset, *coreset, *out)
    assert json.loads(selected.out)["dataset"] == "kmnist"
    runs = [run["path"] for run in json.loads(batch.out)["runs"]]
    mnist = cli("train", tiny_preset, "--out", tmp_path, "-q", "--set", "train.epochs=1", "--json")
    assert json.loads(mnist.out)["data"]["dataset"] == "mnist"
    assert cli("compare", *runs).code == 0
    mixed = cli("compare", *runs, json.loads(mnist.out)["path"])
    assert mixed.code == 2
    assert "tested on different images: MNIST (embedded), kmnist. " in mixed.err
    folder = tmp_path / "grades"
    limits = ("--budget", "parameters<9999, accuracy>=50", "--dataset", "kmnist", "--out", folder)
    grades = json.loads(cli("grade", tiny_preset, *limits, "-q", "--json").out)
    assert grades["settings"]["data"].startswith("kmnist ")
    assert grades["grades"][0]["verdict"] == "pass"
    graded = json.loads((Path(grades["grades"][0]["run"]) / "record.json").read_text())
    assert graded["data"]["dataset"] == "kmnist"
    assert " images of kmnist" in cli("train", "--resume", runs[0]).out


def test_an_unfinished_run_resumes_with_its_data_set(
    cli: Callable,
    server: Server,
    tiny_preset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offer(monkeypatch, server)
    options = Options(data=obtain("qmnist", silent), out=tmp_path)
    setup = prepare(load_preset(str(tiny_preset)), options)
    shutil.move(cached_path("qmnist"), tmp_path / "moved")
    missing = cli("train", "--resume", setup.folder)
    assert missing.code == 4
    assert missing.err.endswith("Download it with --dataset qmnist.\n")
    assert cli("train", "--resume", setup.folder, "--dataset", "qmnist").code == 0


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere() -> None:
    plain, screen = StringIO(), StringIO()
    with show_download(Console(file=plain), "usps", quiet=False) as tell:
        for done in (0, 500_000, 1_000_000):
            tell("downloading usps.bz2", done, 1_000_000)
    assert plain.getvalue() == "usps  downloading usps.bz2\n"
    monitor = Console(file=screen, force_terminal=True, width=100)
    screen.isatty = lambda: True  # type: ignore[method-assign]
    with show_download(monitor, "usps", quiet=False) as tell:
        tell("downloading usps.bz2", 0, None)
        tell("downloading usps.bz2", 500_000, 1_000_000)
    assert "usps  downloading usps.bz2" in screen.getvalue()
    assert "0.5/1.0 MB" in screen.getvalue()
    with show_download(Console(file=plain), "usps", quiet=True) as tell:
        tell("downloading usps.t.bz2", 0, None)
    assert "usps.t.bz2" not in plain.getvalue()


def test_a_copy_is_read_where_the_cache_has_none(tmp_path: Path) -> None:
    source = DataSource(
        source="fashion", folder=str(tmp_path), dataset="fashion", train_sha256="", test_sha256=""
    )
    assert source.locate() == tmp_path
    cached_path("fashion").mkdir(parents=True)
    assert source.locate() == cached_path("fashion")
    assert source.model_copy(update={"folder": None}).locate() == cached_path("fashion")
