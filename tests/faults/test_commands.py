"""A thousand generated command lines: any options on odd paths, encodings and tiny data."""

import json
import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import pytest
import typer
from PIL import Image

from mnistcli.cli.app import app
from mnistcli.cli.guide import TOPICS
from mnistcli.cli.options import REPEAT_ALLOWS, RESUME_ALLOWS
from mnistcli.errors import ExitCode
from mnistcli.preset.coreset import METHODS
from mnistcli.preset.loading import list_presets, presets_folder
from tests.conftest import TINY_PRESET, Answer, Counts, posix_only, run_command, write_idx
from tests.faults.runs import interrupted_run
from tests.faults.test_fuzz import time_limit

pytestmark = [pytest.mark.faults, posix_only]
CHUNKS, LINES = 20, 50
DOCUMENTED = {code for code in ExitCode if code < 128} - {ExitCode.INTERNAL}
ENCODINGS = ("utf-8", "utf-8", "latin-1", "ascii", "cp1252", "koi8-r")

BYTES = os.fsdecode(b"f\xfcnf")
ODD = (
    "", " ", ".", "..", "/", "-", "nowhere", "no/where", "/dev/null", "/dev/null/x", "/proc/x/y",
    "x" * 300, "ü 三 🎉", "a\nb", "a\tb", "[/bold]", "~", "*.png", BYTES, "file", "link", "loop",
    "%s", "--", "0", "\x1b[31m", "record.json", "none.batch.json",
)  # fmt: skip
DATA = (
    "data", "data", "data", "sp ace", "one image", "one digit", "nine", "no images", "html",
    "packed", "csv", "mnist.npz", "png", "labels", BYTES,
)  # fmt: skip
RUNS = ("run", "run/record.json", "runs", "begun", "broken", "empty", "more.batch.json", BYTES)
PRESETS = (
    "mine.toml", "./mine.toml", "bom.toml", "utf16.toml", "crlf.toml", "empty.toml", "binary.toml",
    "folder.toml", "data.toml", "sprnt", "mine", f"{BYTES}.toml", "ü.toml",
)  # fmt: skip
FIELDS = (
    "train.epochs", "train.batch_size", "train.drop_last", "train.schedule", "train.optimizer",
    "train.validation_examples", "train.clip_gradient_norm", "train.ema_decay", "coreset",
    "coreset.size", "coreset.balance", "coreset.selector", "curriculum", "budget",
    "budget.min_test_accuracy", "budget.max_train_fraction", "augment", "augment.0", "title",
    "name", "model.layers", "model.layers.0", "model.layers.1.kind", "data.label_noise", "nope",
    "normalization.std", "published", "train", "", ".", "train.", "a.b.c.d",
)  # fmt: skip
VALUES = (
    "1", "2", "05", "1.", ".5", "1e1", "99.4", "99.4%", "true", "True", "yes", "none", "null", "",
    "-1", "nan", "inf", "1e999", "9" * 400, "[]", "{}", "[1]", '{"size": 9}', "'x'", '"', "x",
    "{kind='random'}", "{kind='cosine'}", "{kind='entropy'}", "{size=10}", "{size=9}", "free",
    "{size=20, balance='free', selector={kind='facility_location'}}", "\ud800", BYTES, "ü",
    "{kind='paced', rounds=2}", "{kind='self_paced', rounds=3, pacing={full_at=0.3}}", "{kind='x'}",
    "{kind='groups', mode='disjoint', groups=[[0,1,2,3,4],[5,6,7,8,9]]}", "[" * 60, "a\nb",
)  # fmt: skip
SEEDS = ("0-1", "1,0", "3", "3,3", "1-0", "x", "-1", "0-2000", "", "٣", "9" * 20)
BUDGETS = (
    "", " ", ",", "parameters", "parameters<", "parameters<5,000", "accuracy>=0.994", "accuracy>99",
    "params<5", "data<=0.2", "epochs<1.5", "seconds<0", "macs<9e9", "epochs<2, epochs<3",
    "parameters<" + "9" * 5_000, "ü<5", "data<=1%;", "[/bold]<5", "\x1b[31m<5", "accuracy>=99.4%%",
)  # fmt: skip
NUMBERS = ("0", "1", "2", "10", "-1", "1.5", "x", "", "9" * 20, "٣", "1_0")

FIRST = 5_000
"""A thousand seeds from here on use every option there is."""
GOOD: dict[str, tuple[str, ...]] = {
    "preset": ("mine.toml", "sprint", "bom.toml", "crlf.toml", "sprint-coreset", *list_presets()),
    "presets": (*list_presets(), "mine.toml"),
    "members": ("run", "runs", "sprint", "more.batch.json"),
    "runs": ("run", "runs", "run/record.json", "more.batch.json"),
    "run": ("run", "begun", "run/record.json"),
    "folder": ("runs", ".", "more.batch.json"),
    "folders": ("old run",),
    "name": ("best", "v2.1"),
    "tag": ("best",),
    "state": ("finished", "unfinished"),
    "destination": ("copied.toml", "copies"),
    "topic": TOPICS,
    "submissions": ("lesson", "lesson", "lesson/empty.py"),
    "each": ("1m",),
    "memory": ("4GiB",),
    "wrap": ("env A=b",),
    "overrides": ("train.epochs=1", "train.batch_size=20", "coreset=none", "coreset.size=20"),
    "budget": ("parameters<20000, accuracy>=99.4", "macs<1M, data<=20%", "epochs≤1", "data<30"),
    "junit": ("checks.xml", "runs/checks.xml", "/dev/null"),
    "badge": ("badge.svg",),
    "seed": ("0", "7"),
    "seeds": ("0-1", "5"),
    "jobs": ("1",),
    "cluster": ("nonsense",),
    "device": ("cpu", "auto"),
    "precision": ("float32", "bfloat16", "auto"),
    "threads": ("1",),
    "data": ("data", "sp ace", "packed"),
    "coreset": ("picked/indices.npz",),
    "resume": ("begun", "run", "more.batch.json"),
    "repeat": ("run",),
    "out": ("out", "o/u/t"),
    "images": ("digit.png", "digit.jpg", "ü 三.png"),
    "sheet": ("sheet.png",),
    "method": METHODS,
    "methods": ("random,entropy", "k_center", "moderate,herding"),
    "size": ("10", "20", "9"),
    "sizes": ("10", "20,10"),
    "split": ("test", "train"),
    "form": ("table", "csv", "markdown"),
    "fail_on": ("worse",),
    "arm": ("a: train.batch_size=30", "b: coreset.size=10", "c: augment=[] train.batch_size=15"),
    "arms": ("arms.toml",),
    "plot": ("plot.svg",),
}
BAD: dict[str, tuple[str, ...]] = {
    "preset": (*PRESETS, *ODD), "presets": (*PRESETS, *ODD), "members": (*RUNS, *PRESETS, *ODD),
    "runs": (*RUNS, *ODD), "run": (*RUNS, *ODD), "folder": (*RUNS, *ODD),
    "folders": ("runs", "run/record.json", "broken", "empty", *ODD),
    "submissions": (*RUNS, *(each for each in ODD if each not in {".", "..", "/"})),
    "each": (*NUMBERS, "1ms", "0s", "9" * 400 + "h"), "memory": (*NUMBERS, "1 MiB", "4gib"),
    "wrap": ("nonesuch", "'", "false", *ODD),
    "destination": ("mine.toml", *ODD), "topic": ODD, "seed": NUMBERS,
    "seeds": SEEDS, "jobs": ("0", "x"), "cluster": ("", "tcp://", "tcp://x"),
    "device": ("cuda", "x", ""), "precision": ("x", ""), "threads": ("0", "x", "1.5", "-1"),
    "data": (*DATA, *ODD),
    "coreset": ("mine.toml", "mnist.npz", "html/train-images-idx3-ubyte", "data", *ODD),
    "resume": (*RUNS, *ODD), "repeat": (*RUNS, *ODD), "out": ("file", "file/x", BYTES, *ODD),
    "images": ("mine.toml", "blank.png", "cut.png", "data", *ODD), "sheet": ("file", "data", *ODD),
    "method": ("x", "K-Center", "", BYTES), "methods": ("", ",", "x", "random,,"), "size": NUMBERS,
    "sizes": (*SEEDS, "10,20"), "budget": BUDGETS, "junit": ("data", "file/x", *ODD),
    "badge": ("data", "file/x", *ODD), "split": ("valid", ""), "form": ("json", ""),
    "fail_on": ("x",), "arm": ("a: train.epochs=1", "a: [", "a:", "base: train.epochs=2", *ODD),
    "arms": PRESETS, "plot": ("file/x", "data", *ODD),
}  # fmt: skip


def make_data(folder: Path, train: Sequence[int], test: Sequence[int], ending: str = "") -> None:
    """Write images whose digit is the number of their bright rows."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for prefix, digits in (("train", train), ("t10k", test)):
        labels = np.array(digits, dtype=np.uint8)
        images = rng.integers(0, 60, (len(labels), 28, 28), dtype=np.uint8)
        for image, digit in zip(images, digits, strict=True):
            image[: 2 * digit + 2] += 150
        write_idx(folder / f"{prefix}-images-idx3-ubyte{ending}", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte{ending}", labels)


@pytest.fixture(scope="module")
def world(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that a command line may name."""
    world = tmp_path_factory.mktemp("world")
    ten = list(range(10))
    make_data(world / "data", 6 * ten, 2 * ten)
    make_data(world / "sp ace", 6 * ten, 3 * ten)
    make_data(world / "packed", 6 * ten, 2 * ten, ".gz")
    make_data(world / "one image", [3], [3])
    make_data(world / "one digit", [4] * 30, [4] * 5)
    make_data(world / "nine", list(range(9)), [0, 1])
    make_data(world / "no images", [], [])
    make_data(world / "labels", 3 * ten, [10, 200])
    shutil.copytree(world / "data", world / "html")
    (world / "html" / "train-images-idx3-ubyte").write_text("<html>403</html>")
    for name in ("csv", "png/train/7", "empty", "folder.toml", "copies"):
        (world / name).mkdir(parents=True)
    (world / "csv" / "mnist_train.csv").write_text("label,1x1\n7,0\n")
    np.savez(world / "mnist.npz", x_train=np.zeros((2, 28, 28), np.uint8))
    make_presets(world)
    make_pictures(world)
    make_runs(world, tiny_data)
    (world / "file").write_text("text")
    (world / "link").symlink_to("nowhere")
    (world / "loop").symlink_to("loop")
    return world


def make_presets(world: Path) -> None:
    content = TINY_PRESET.encode()
    for name, changed in (
        ("mine", content), ("ü", content), (BYTES, content), ("bom", b"\xef\xbb\xbf" + content),
        ("paced", content + b"\n[curriculum]\nkind = 'self_paced'\nrounds = 2\n"),
        ("utf16", TINY_PRESET.encode("utf-16")), ("crlf", content.replace(b"\n", b"\r\n")),
        ("empty", b""), ("binary", bytes(range(256))), ("data", b'{"title": 1}'),
    ):  # fmt: skip
        (world / f"{name}.toml").write_bytes(changed)
    (world / "arms.toml").write_text("[[arm]]\nname = 'f'\nset = { train.batch_size = 12 }\n")
    (world / "lesson").mkdir()
    for name, changed in (("empty.py", ""), ("eve.toml", TINY_PRESET), ("x.toml", "[")):
        (world / "lesson" / name).write_text(changed)


def make_pictures(world: Path) -> None:
    page = np.zeros((40, 40), np.uint8)
    page[8:32, 18:23] = 255
    for name in ("digit.png", "digit.jpg", "ü 三.png"):
        Image.fromarray(page).save(world / name)
    Image.fromarray(page * 0).save(world / "blank.png")
    (world / "cut.png").write_bytes((world / "digit.png").read_bytes()[:60])


def make_runs(world: Path, large: Path) -> None:
    options = ("--data", world / "data", "-q", "--set", "train.epochs=1")
    train = ("train", world / "mine.toml", *options, "--out")
    assert run_command(*train, world / "made").code == 0
    (world / "made").rename(world / "runs")
    shutil.copytree(next((world / "runs").iterdir()), world / "run")
    assert run_command(*train, world, "--seeds", "0-1", "--jobs", "1").code in (0, 3)
    next(world.glob("*.batch.json")).rename(world / "more.batch.json")
    interrupted_run(large, world / "begun runs", 1).rename(world / "begun")
    for name in ("broken", "old run"):
        shutil.copytree(world / "run", world / name)
    (world / "broken" / "weights.safetensors").write_bytes(b"x")
    select = ("coreset", world / "mine.toml", *options, "-n", "20", "--out", world / "chosen")
    assert run_command(*select).code == 0
    next((world / "chosen").iterdir()).rename(world / "picked")


def list_commands() -> dict[tuple[str, ...], click.Command]:
    root = typer.main.get_command(app)
    found: dict[tuple[str, ...], click.Command] = {}
    for name, command in root.commands.items():
        nested = getattr(command, "commands", {})
        found |= {(name, inner): each for inner, each in nested.items()} or {(name,): command}
    return found


COMMANDS = list_commands()


MODES = {
    "train": ("", "", "seeds", "resume", "repeat", "dry_run", "profile", "coreset"),
    "curriculum": ("", "", "seeds", "resume", "compare"),
    "coreset": ("", "", "", "compare"),
    "evaluate": ("", "", "images", "robustness", "sheet"),
    "report": ("", "curves", "badge"),
    "compare": ("", "journal", "fail_on"),
    "runs": ("", "", "train", "remove"),
    "grade": ("", "as_csv", "each", "memory", "wrap"),
    "study": ("arm", "arms", "plot", "resume"),
}
"""The parameter that says what a command does; the others cannot be combined with it."""
ALLOWED = {"resume": RESUME_ALLOWS, "repeat": REPEAT_ALLOWS}
STUDIES = {"cluster", "methods", "sizes", "jobs", "help"}
SHRINKING = ("train.epochs=1", "coreset.size=20", "curriculum.rounds=2")


class Line:
    """A command line made from a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        largest = [("train",), ("evaluate",), ("coreset",), ("curriculum",)]
        self.words = self.rng.choice(self.rng.choice([list(COMMANDS), largest, largest]))
        self.mode = self.rng.choice(MODES.get(self.words[0], ("",)))
        self.good = self.rng.choice([1, 1, 1, 0.9, 0.6])
        """Probability of a value that makes sense."""
        self.rate = self.rng.choice([0.05, 0.15, 0.3])
        """Probability of an option."""
        self.is_sane = self.rng.random() < 0.9
        """Whether it has no options that cannot be combined."""

    def generate(self) -> list[str]:
        line = [*self.words]
        for parameter in COMMANDS[self.words].params:
            name = parameter.name or ""
            if parameter.param_type_name == "argument":
                if self.fits(name) and self.rng.random() < 0.97:
                    several = self.rng.choice([1, 1, 1, 2, 3]) if parameter.nargs == -1 else 1
                    several = 1 if self.mode == "images" and self.is_sane else several
                    line += [self.choose(name) for _ in range(several)]
            elif (
                name == self.mode
                or parameter.required
                or (self.rng.random() < self.rate and self.fits(name))
            ):
                flag = [] if getattr(parameter, "is_flag", False) else [self.choose(name)]
                line += [self.rng.choice(parameter.opts), *flag]
        return line + self.shrink(line)

    def fits(self, name: str) -> bool:
        """Return whether a parameter may be beside the mode's."""
        if not self.is_sane:
            return name not in ("jobs", "help")
        if self.mode in ALLOWED:
            return name in ALLOWED[self.mode] - STUDIES
        return name not in {*STUDIES, *MODES.get(self.words[0], ())}

    def choose(self, name: str) -> str:
        name = "preset" if name == "network" else name
        if name == "overrides" and self.rng.random() < 0.5:
            return f"{self.rng.choice(FIELDS)}={self.rng.choice(VALUES)}"
        if name == "preset" and self.words[0] == "curriculum" and self.rng.random() < self.good:
            return self.rng.choice(["sprint-curriculum", "sequential-replay", "paced.toml"])
        is_good = name in GOOD and self.rng.random() < self.good
        return self.rng.choice(GOOD[name] if is_good else BAD.get(name, ODD))

    def shrink(self, line: list[str]) -> list[str]:
        """Return options that keep trainings and studies small and in this process."""
        if self.words[0] == "grade" and "--out" not in line:
            return ["--out", f"graded {self.rng.randrange(3)}"]
        if self.words[0] not in ("train", "curriculum", "coreset", "study"):
            return []
        added: list[str] = []
        if self.mode not in ALLOWED:
            for change in SHRINKING[: 2 + (self.words[0] == "curriculum")]:
                added += ["--set", change] if self.rng.random() < 0.8 else []
        if "--compare" in line:
            added += ["--seeds", "0-1"]
            added += ["--methods", "random,moderate", "--sizes", "10"] * (line[0] == "coreset")
        if line[0] == "study" and self.mode not in ALLOWED:
            added += ["--seeds", "0", "--arm", self.choose("arm")]
        several = {"--seeds", "--cluster", "more.batch.json"} & {*line, *added}
        return added + ["--jobs", "1"] * (line[0] == "study" or bool(several))


def generate(seed: int) -> list[str]:
    """Return the command line of a seed."""
    return Line(FIRST + seed).generate()


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def check(line: list[str], answer: Answer, encoding: str) -> None:
    assert answer.code in DOCUMENTED
    said = [each for each in answer.err.splitlines() if each.startswith("mnistcli: ")]
    errors = [each for each in said if not each.startswith("mnistcli: warning: ")]
    if "--traceback" not in line:
        assert "Traceback" not in answer.err
        assert "Error:" not in answer.err
    assert all(each.isprintable() for each in answer.err.split("\n"))
    if answer.code in (ExitCode.OK, ExitCode.CHECK_FAILED):
        assert not errors
        # A dry run prints the resolved preset as JSON; a search prints its space, as TOML.
        if "--json" in line or ("--dry-run" in line and line[0] not in {"runs", "search"}):
            text = answer.out.encode(encoding, "surrogateescape").decode()
            json.loads(text, parse_constant=refuse)
    else:
        assert errors
        assert len(errors) <= max(1, len(line) - 1)
        assert answer.err.endswith(f"{errors[-1]}\n"), "an error comes last"
        assert len(errors[-1]) < 3_000


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_command_line_ends_with_a_documented_exit_code(
    chunk: int, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: Counts
) -> None:
    here = Path(shutil.copytree(world, tmp_path / "world", symlinks=True))
    monkeypatch.chdir(here)
    monkeypatch.setenv("MNISTCLI_DATA", "data")
    # Each takes a second, and no exit code depends on it.
    monkeypatch.setattr("mnistcli.experiment.evaluate.measure_inference", lambda *_: 1_000.0)
    monkeypatch.setattr("mnistcli.experiment.training.run.measure_ceiling", lambda *_: 1_000.0)
    for seed in range(chunk * LINES, (chunk + 1) * LINES):
        line, encoding = generate(seed), random.Random(-1 - seed).choice(ENCODINGS)
        try:
            with time_limit():
                check(line, run_line(line, encoding), encoding)
        except BaseException:
            print(f"seed {seed}: {line} in {encoding}")
            raise
        counts["generated command lines that ended as documented"] += 1


def run_line(line: Sequence[str], encoding: str) -> Answer:
    answer = run_command(*line, encoding=encoding)
    print(answer.code, line, answer.err[-600:])
    return answer


def test_the_lines_reach_every_command_and_most_are_not_refused_at_once() -> None:
    lines = [generate(seed) for seed in range(CHUNKS * LINES)]
    assert len(lines) == 1_000
    assert {
        tuple(line[: len(words)])
        for line in lines
        for words in COMMANDS
        if line[: len(words)] == [*words]
    } == set(COMMANDS)
    options = {
        opt
        for each in COMMANDS.values()
        for p in each.params
        for opt in p.opts
        if opt.startswith("--")
    }
    assert options - {word for line in lines for word in line} <= {"--help"}
    assert presets_folder().is_dir()
