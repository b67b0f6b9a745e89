import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from mnistcli import __version__
from mnistcli.cli.guide import TOPICS
from mnistcli.preset.loading import list_presets
from tests.conftest import MNIST_FILES, posix_only

ROOT = Path(__file__).parent.parent


def test_the_changelog_begins_with_this_version() -> None:
    found = re.search(r"^## \[?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert found
    assert found[1] == __version__


EMPTY_APP = "import typer; app = typer.Typer(); app.command()(lambda: None); app(['--help'])"


@posix_only
def test_help_answers_within_0_3_seconds() -> None:
    """Of a processor's time; on a slow processor, within 1.7 times an empty Typer app's."""

    import resource

    def measure(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    pairs = [(measure("-m", "mnistcli", "--help"), measure("-c", EMPTY_APP)) for _ in range(5)]
    ours, empty = (min(times) for times in zip(*pairs, strict=True))
    assert ours < max(0.3, 1.7 * empty), f"{ours:.2f} s, an empty app {empty:.2f} s"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", folder, ROOT], check=True, capture_output=True
    )
    return folder


@pytest.mark.slow
def test_an_installed_wheel_has_all_it_needs(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    target = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target, wheel],
        check=True,
    )

    def run(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, *arguments],
            check=True,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(target)},
        ).stdout

    assert run("-c", "import mnistcli; print(mnistcli.__file__)").startswith(str(target))
    for name in list_presets():
        assert (
            run("-m", "mnistcli", "presets", "show", name)
            == (ROOT / "presets" / f"{name}.toml").read_text()
        )
    assert set(list_presets()) == {
        row["name"]
        for row in json.loads(run("-m", "mnistcli", "presets", "list", "--json"))["presets"]
    }
    for topic in TOPICS:
        assert run("-m", "mnistcli", "guide", topic).startswith(topic.capitalize())
    one_batch = ["--set", "train.epochs=1", "--set", "train.validation_examples=59000"]
    out = run("-m", "mnistcli", "train", *one_batch, "--no-fail", "--json")
    assert '"mnistcli.run/2"' in out
    page = run("-m", "mnistcli", "report", json.loads(out)["path"]).strip()
    assert (tmp_path / page).read_text().startswith("<!DOCTYPE html>")


@pytest.mark.slow
def test_sdist_and_wheel_hold_data_presets_and_licences(built: Path) -> None:
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    data = {f"mnistcli/mnist/{name}.gz" for pair in MNIST_FILES.values() for name in pair}
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    assert data | {f"mnistcli/_presets/{name}.toml" for name in list_presets()} <= names
    guides = {f"mnistcli/guides/{topic}.md" for topic in TOPICS}
    assert guides <= names
    web = ROOT / "mnistcli" / "export" / "web"
    assert {f"mnistcli/export/web/{path.name}" for path in web.iterdir()} <= names
    assert {
        "mnistcli/py.typed",
        "mnistcli/mnist/README.md",
        "mnistcli/search/default.toml",
    } <= names
    assert not [name for name in names if name.startswith("tests")]
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert guides | {"presets/README.md", "presets/ledger.svg"} <= names
    assert data | {"LICENSE", "README.md", "presets/sprint.toml", "tests/conftest.py"} <= names
