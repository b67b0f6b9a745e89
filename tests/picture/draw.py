"""A run's record → what `mnistcli train` shows in a terminal → SVG."""

from importlib.metadata import version
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from mnistcli.cli.header import headline
from mnistcli.display.layout import Page
from mnistcli.display.live import LiveView
from mnistcli.display.live_budget import RunHeader
from mnistcli.display.tables import run_view
from mnistcli.engine.events import EpochFinished, TrainingStarted
from mnistcli.records.documents import RunRecord
from mnistcli.records.store import read_record

FOLDER = Path(__file__).parent
WIDTH = 80

LIGHT = TerminalTheme(
    (255, 255, 255),
    (31, 35, 40),
    [
        (31, 35, 40),
        (207, 34, 46),
        (26, 127, 55),
        (154, 103, 0),
        (9, 105, 218),
        (130, 80, 223),
        (27, 124, 131),
        (110, 119, 129),
    ],
)
DARK = TerminalTheme(
    (13, 17, 23),
    (230, 237, 243),
    [
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (57, 197, 207),
        (177, 186, 196),
    ],
)
DRAWN_BY = f"drawn by rich {version('rich')}: python -m tests.picture"
GITHUB = FOLDER.parents[1] / ".github"
PICTURES = {GITHUB / "train-light.svg": LIGHT, GITHUB / "train-dark.svg": DARK}

FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>mnistcli train in a terminal</title>
<!-- DRAWN_BY -->
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono",
    "Liberation Mono", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
<rect x="1" y="1" rx="8" fill="BACKGROUND" stroke="#8b949e"
 style="width: calc(100% - 2px); height: calc(100% - 2px)"/>
<circle cx="24" cy="21" r="6" fill="#8b949e"/>
<circle cx="44" cy="21" r="6" fill="#8b949e"/>
<circle cx="64" cy="21" r="6" fill="#8b949e"/>
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""Like rich's own format, but without a font from the web."""


def draw(colours: TerminalTheme) -> str:
    """Return the SVG picture of the kept run."""
    console = Page(
        file=StringIO(),
        width=WIDTH,
        record=True,
        force_terminal=False,  # the view is not redrawn; what it leaves is the same
        color_system="truecolor",
        highlight=False,
        legacy_windows=False,
        _environ={},
    )
    show(console, read_record(FOLDER))
    code_format = FORMAT.replace("BACKGROUND", colours.background_color.hex)
    code_format = code_format.replace("DRAWN_BY", DRAWN_BY)
    return console.export_svg(theme=colours, code_format=code_format, unique_id="train")


def show(console: Console, record: RunRecord) -> None:
    """Print what a terminal shows after the run."""
    setup = SimpleNamespace(
        preset=record.preset,
        network=SimpleNamespace(parameters=record.parameters),
        images=record.train_examples,
        seed=record.seed,
        data=SimpleNamespace(source=record.data),
        machine=SimpleNamespace(
            device=SimpleNamespace(type=record.device),
            precision_name=record.precision,
            threads=record.threads,
        ),
        exceeded=(),
    )
    console.print(Text("$ mnistcli train", style="bold"))
    console.print(Text(headline(setup)))
    images = tuple(epoch.images for epoch in record.epochs)
    header = RunHeader(
        record.preset.budget,
        record.parameters,
        record.macs,
        record.train_examples,
        record.train_fraction,
        Path(record.path),
    )
    with LiveView(console, header) as live:
        live.show(TrainingStarted(images, images))
        for epoch in record.epochs:
            live.show(EpochFinished(**epoch.model_dump()))
    console.print(run_view(record))
