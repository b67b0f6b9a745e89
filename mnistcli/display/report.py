"""Runs → one self-contained HTML file: no scripts, nothing fetched from anywhere."""

import json
from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from mnistcli.display import text
from mnistcli.display.charts import draw_curves, draw_intervals, draw_reliability
from mnistcli.records.comparisons import Comparison
from mnistcli.records.documents import RunRecord
from mnistcli.records.reports import ReportedRun
from mnistcli.verdict.compare import compare_members
from mnistcli.verdict.several import check_mean

VERDICTS = ("fail", "inconclusive", "pass")
"""The first that any check has is that of all."""
TEMPLATE = "report.html.jinja"
POINTS = 400
"""Of a curve over steps: more cannot be seen."""
NAME_WIDTH = 32
"""Of a name in a chart: runs of one name differ at its end."""


def render_report(runs: Sequence[ReportedRun]) -> str:
    """The page about one run, or about several side by side.

    Raises:
        UsageError: the runs were tested on different images.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": text.percent,
        "seconds": text.seconds,
        "figure": lambda value, name: text.figure(name, value),
        "figure_name": text.figure_name,
        "size": text.size,
        "sign": text.SIGNS.get,
        "p_value": text.p_value,
        "png": encode_png,
        "filters_png": lambda filters: [encode_png(scale_filter(one)) for one in filters],
        "strip": lambda images: encode_png(np.concatenate(list(images), axis=1)),
        "preset_json": lambda preset: json.dumps(preset.model_dump(mode="json"), indent=2),
        "command": command,
        "result_figures": result_figures,
    }
    records = [run.record for run in runs]
    comparison = compare_members(records) if len(records) > 1 else None
    same = comparison is not None and len(comparison.groups) == 1
    mean_checks = check_mean(records) if same else ()
    words = [check.verdict for check in mean_checks]
    page = environment.get_template(TEMPLATE).render(
        runs=runs,
        comparison=comparison,
        mean_checks=mean_checks,
        verdict=next((word for word in VERDICTS if word in words), None),
        charts=[Markup(chart) for chart in draw_charts(runs)],
        title=_title(records, comparison),
    )
    return page + "\n"


def draw_charts(runs: Sequence[ReportedRun]) -> list[str]:
    """The curves of all runs, as SVG."""
    names = _name_runs([run.record for run in runs])
    named = list(zip(names, runs, strict=True))
    losses, shares, rates = [], [], []
    for name, run in named:
        epochs = run.record.epochs
        x = [float(epoch.epoch) for epoch in epochs]
        losses.append((name, x, [epoch.train_loss for epoch in epochs], False))
        shares.append((name, x, [100 * epoch.train_accuracy for epoch in epochs], False))
        judged = [epoch for epoch in epochs if epoch.validation_accuracy is not None]
        if judged:
            x = [float(epoch.epoch) for epoch in judged]
            losses.append((name, x, [epoch.validation_loss or 0 for epoch in judged], True))
            held_out = [100 * (epoch.validation_accuracy or 0) for epoch in judged]
            shares.append((name, x, held_out, True))
        stride = max(1, len(run.learning_rates) // POINTS)
        steps = range(0, len(run.learning_rates), stride)
        rates.append(
            (name, list(map(float, steps)), [run.learning_rates[step] for step in steps], False)
        )
    held = "; dashed: held-out images" if any(dashed for *_, dashed in losses) else ""
    charts = [
        draw_curves(f"Training loss{held}", ("epoch", "loss"), losses),
        draw_curves(f"Training accuracy{held}", ("epoch", "right, %"), shares),
        draw_curves("Learning rate", ("step", "rate"), rates),
        draw_reliability([(name, run.answers.calibration) for name, run in named]),
    ]
    if len(runs) > 1:
        tested = [(name, run.answers.accuracy, run.answers.interval) for name, run in named]
        charts.append(draw_intervals(tested))
    return charts


def encode_png(image: NDArray[np.uint8]) -> str:
    """A grey image, uint8 (height, width), as a data URL."""
    page = BytesIO()
    Image.fromarray(image, mode=None).save(page, format="png", optimize=True)
    return f"data:image/png;base64,{b64encode(page.getvalue()).decode()}"


def scale_filter(weights: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Float (height, width) → grey: 0 becomes the middle, the greatest weight black or white."""
    max = float(np.abs(np.nan_to_num(weights)).max()) or 1.0
    return (127.5 * (1 + np.nan_to_num(weights) / max)).clip(0, 255).astype(np.uint8)


def command(record: RunRecord) -> str:
    """The command line that trains this run again."""
    return f"mnistcli train --from {quote(record.path)}"


def result_figures(record: RunRecord) -> list[tuple[str, Any]]:
    """What a budget may limit, whether this one does or not."""
    return [
        ("parameters", record.parameters),
        ("test_accuracy", record.test.accuracy),
        ("epochs", int(record.passes) if record.passes == int(record.passes) else record.passes),
        ("train_seconds", record.train_seconds),
        ("train_fraction", record.train_fraction),
    ]


def _title(records: Sequence[RunRecord], comparison: Comparison | None) -> str:
    if comparison is None:
        return records[0].preset.name
    groups = ", ".join(dict.fromkeys(record.preset.name for record in records))
    return f"{len(records)} runs: {groups}"


def _name_runs(records: Sequence[RunRecord]) -> list[str]:
    """As short as tells them apart."""
    seeds = [f"seed {record.seed}" for record in records]
    names = [f"{record.preset.name} {seed}" for record, seed in zip(records, seeds, strict=True)]
    if len({record.preset.name for record in records}) == 1 and len(set(seeds)) == len(seeds):
        return seeds
    if len(set(names)) < len(names):
        names = [record.run_id for record in records]
    return [name if len(name) <= NAME_WIDTH else f"…{name[1 - NAME_WIDTH :]}" for name in names]
