"""Reports, read as text and, where there is a Chromium, in a real browser."""

import csv
import io
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mnistcli.datasets.embedded import EMBEDDED

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
OWN = re.compile(r"https?://[^/]*\.(google|googleapis|gvt1|gstatic)\.com/")
HOSTILE = "<script>document.title = 'taken'</script> & \"$x^{\" '{{ 7 * 7 }}'"


class Page(HTMLParser):
    """Tags, attributes and text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def train(cli: Callable, tiny_data: Path, tiny_preset: Path, tmp_path: Path) -> Callable:
    def run(*options: object) -> Path:
        common = ("--data", tiny_data, "--out", tmp_path / "runs", "--json", "-q", "--no-fail")
        return Path(json.loads(cli("train", tiny_preset, *common, *options).out)["path"])

    return run


@pytest.fixture
def report(cli: Callable, tiny_data: Path) -> Callable:
    def write(*arguments: object) -> tuple:
        answer = cli("report", *arguments, "--data", tiny_data)
        return answer, Path(answer.out.strip()) if answer.code == 0 else None

    return write


def test_a_run_is_one_file_that_needs_nothing_else(train: Callable, report: Callable) -> None:
    run = train("--set", "train.validation_examples=100")
    answer, path = report(run)
    assert answer.code == 0, answer.err
    assert path == run / "report.html"
    content = path.read_text()
    assert len(content) < 2_000_000
    record = json.loads((run / "record.json").read_text())
    page = Page(content)
    for wanted in (
        "tiny", "PASS", f"{100 * record['test']['accuracy']:.2f} %", record["weights_sha256"],
        "Training loss; dashed: validation set", "Learning rate", "receptive field",
        "First test images", f"mnistcli train --from {run}",
        f"torch {record['versions']['torch']}", "< 5,000",
    ):  # fmt: skip
        assert wanted in page.text, wanted
    names = [tag for tag, _ in page.tags]
    assert not {"script", "link", "iframe", "object", "base"} & set(names)
    assert names.count("svg") == 4
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "data:image/png;base64,")), (tag, value)
        assert not [name for name in attributes if name.startswith("on")]
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    referred = set(re.findall(r"url\(#([^)]+)\)", content))
    referred |= {a["xlink:href"][1:] for _, a in page.tags if "xlink:href" in a}
    assert referred <= set(identifiers)


@pytest.mark.slow
def test_phases_and_coreset_are_shown(train: Callable, report: Callable) -> None:
    run = train(
        "--set", "coreset.size=200", "--set", "coreset.selector={kind='random'}",
        "--set", "curriculum={kind='groups', mode='cumulative', targets=[0.5, 0.5], "
        "groups=[[0, 1], [2, 3, 4, 5, 6, 7, 8, 9]]}",
    )  # fmt: skip
    answer, path = report(run)
    assert answer.code == 0, answer.err
    page = Page(path.read_text())
    assert "200 of 600" in page.text
    strips = [a["alt"] for tag, a in page.tags if tag == "img" and "examples of" in a["alt"]]
    assert len(strips) == 20
    assert "Phases" in page.text
    assert "50.00 %" in page.text


@pytest.mark.slow
def test_several_runs_stand_side_by_side(
    train: Callable, report: Callable, cli: Callable, tmp_path: Path
) -> None:
    runs = [train("--seed", seed) for seed in range(2)]
    runs += [train("--seed", seed, "--set", "train.epochs=1") for seed in range(2)]
    assert cli("report", *runs).code == 2
    answer, path = report(*runs[:2], "--out", tmp_path / "two.html")
    assert "Budget, mean of the runs" in Page(path.read_text()).text
    out = tmp_path / "all.html"
    answer, path = report(tmp_path / "runs", "--out", out)
    assert answer.code == 0, answer.err
    assert path == out
    page = Page(out.read_text())
    for run in runs:
        assert run.name in page.text
    assert "Differences from tiny" in page.text
    assert "Test accuracy, 95 % intervals" in page.text
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


@pytest.mark.slow
def test_hostile_text_stays_text(
    train: Callable, report: Callable, tiny_preset: Path, tmp_path: Path
) -> None:
    runs = [train("--seed", seed, "--set", f"title={json.dumps(HOSTILE)}") for seed in range(2)]
    for number, run in enumerate(runs):
        path = run / "record.json"
        record = json.loads(path.read_text())
        record |= {"run_id": f"{HOSTILE}{number}", "path": HOSTILE, "versions": {HOSTILE: HOSTILE}}
        record["phases_evaluated_on"] = record["started"] = HOSTILE
        record["preset"]["name"] = "tiny"
        record["seed"] = 0
        path.write_text(json.dumps(record))
    for members in ([runs[0]], [*runs, "--out", tmp_path / "both.html"]):
        answer, path = report(*members)
        assert answer.code == 0, answer.err
        page = Page(path.read_text())
        assert HOSTILE in page.text
        assert "script" not in {tag for tag, _ in page.tags}


@pytest.mark.slow
def test_what_cannot_be_read_is_said_and_the_rest_shown(
    train: Callable, report: Callable, cli: Callable, tmp_path: Path
) -> None:
    good, bad = train("--seed", 0), train("--seed", 1)
    (bad / "weights.safetensors").write_bytes(b"nothing")
    out = tmp_path / "both.html"
    answer, _ = report(good, bad, "--out", out)
    assert answer.code == 4
    assert answer.err.count("\n") == 1
    assert good.name in out.read_text()
    assert report(bad)[0].code == 4
    other_images = cli("report", good, "--data", EMBEDDED)
    assert other_images.code == 4
    assert "--data" in other_images.err
    assert report(good, "--out", tmp_path / "no" / "report.html")[0].code == 4


@pytest.mark.slow
def test_every_run_is_reported_once(train: Callable, cli: Callable, tmp_path: Path) -> None:
    runs = [train("--seed", seed) for seed in range(2)]
    again = [*runs, runs[0] / "record.json", runs[0].parent]
    rows = csv.DictReader(io.StringIO(cli("report", *again, "--csv").out))
    assert Counter(row["run"] for row in rows) == {run.name: 2 for run in runs}
    answer = cli("report", *again, "--out", tmp_path / "x.html", "--json")
    assert json.loads(answer.out)["runs"] == [run.name for run in runs]


def test_curves_as_csv(train: Callable, cli: Callable, tmp_path: Path) -> None:
    runs = [train("--seed", seed, "--set", "train.validation_examples=50") for seed in range(2)]
    answer = cli("report", *runs, "--csv")
    assert answer.code == 0
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    records = [json.loads((run / "record.json").read_text()) for run in runs]
    wanted = [(record, epoch) for record in records for epoch in record["epochs"]]
    assert len(rows) == len(wanted) == 4
    for row, (record, epoch) in zip(rows, wanted, strict=True):
        assert row["run"] == record["run_id"]
        for name in ("train_loss", "validation_accuracy", "learning_rate", "seconds"):
            assert float(row[name]) == epoch[name]
    assert cli("report", *runs, "--csv", "--json").code == 2


def browse(path: Path, folder: Path, *options: str) -> tuple[str, list[str], set[str]]:
    """The page after it was loaded, what its console said, and what was asked of the network."""
    log = folder / "net.json"
    assert CHROMIUM
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--no-first-run",
        "--disable-features=NetworkTimeServiceQuerying,OptimizationHints,Translate",
        f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}",
        "--enable-logging=stderr", "--virtual-time-budget=2000", *options, path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    urls = set(re.findall(r'"url":"((?:http|ws|ftp)[^"]*)"', log.read_text()))
    # A browser asks its maker for things of its own, even where it is told not to.
    return done.stdout, console, {url for url in urls if not OWN.match(url)}


@pytest.mark.slow
@needs_browser
def test_a_browser_shows_it_without_complaint(
    train: Callable, report: Callable, tmp_path: Path
) -> None:
    run = train("--set", f"title={json.dumps(HOSTILE)}")
    _, path = report(run)
    shot = tmp_path / "shot.png"
    _, console, urls = browse(path, tmp_path, "--window-size=390,6000", f"--screenshot={shot}")
    assert not console
    assert not urls
    assert "google" not in path.read_text()
    assert shot.stat().st_size > 50_000
    dom, _, _ = browse(path, tmp_path, "--dump-dom")
    assert "<title>tiny · mnistcli</title>" in dom
    assert "&lt;script&gt;" in dom


@pytest.mark.slow
@needs_browser
def test_this_browser_would_have_complained(tmp_path: Path) -> None:
    path = tmp_path / "bad.html"
    path.write_text(
        "<body><img src='http://127.0.0.1:9/x.png'><script>console.error('no'); gone()</script>"
    )
    _, console, urls = browse(path, tmp_path, "--dump-dom")
    assert len(console) >= 2
    assert "http://127.0.0.1:9/x.png" in urls
