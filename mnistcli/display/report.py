"""Runs → one self-contained HTML file, without scripts and external resources."""

import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from shlex import quote

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from mnistcli.display import text
from mnistcli.display.budget import check_rows, run_rows
from mnistcli.display.charts import draw_curves, draw_intervals, draw_reliability
from mnistcli.display.layers import draw_tree
from mnistcli.display.members import describe_members
from mnistcli.records.comparisons import Comparison
from mnistcli.records.documents import EpochRecord, RunRecord
from mnistcli.records.reports import ReportedRun
from mnistcli.verdict.compare import compare_members
from mnistcli.verdict.several import check_mean

TEMPLATE = "report.html.jinja"
POINTS = 400
"""Maximum number of points of a curve over steps."""
NAME_WIDTH = 32
"""Maximum length of a name in a chart."""


def render_report(runs: Sequence[ReportedRun]) -> str:
    """Render the page about one run, or about several side by side.

    Raises:
        UsageError: the runs were tested on different images.
    """
    charts = [Markup(chart) for chart in draw_charts(runs)]
    return _render([run.record for run in runs], runs, charts)


def render_overview(records: Sequence[RunRecord]) -> str:
    """Render the page about many runs: their tables alone, from the records.

    Raises:
        UsageError: the runs were tested on different images.
    """
    return _render(records, (), ())


def _render(
    records: Sequence[RunRecord], runs: Sequence[ReportedRun], charts: Sequence[Markup]
) -> str:
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
        "tree": draw_tree,
        "budget_rows": run_rows,
        "size": text.size,
        "of_dataset": text.of_dataset,
        "p_value": text.p_value,
        "png": encode_png,
        "filters_png": lambda filters: [encode_png(scale_filter(one)) for one in filters],
        "strip": lambda images: encode_png(np.concatenate(list(images), axis=1)),
        "preset_json": lambda preset: json.dumps(preset.model_dump(mode="json"), indent=2),
        "command": command,
    }
    comparison = compare_members(records) if len(records) > 1 else None
    # Identical weights count once.
    different = [*{each.weights_sha256: each for each in records}.values()]
    is_one_kind = comparison is not None and len(comparison.groups) == 1
    mean_checks = check_mean(different) if is_one_kind else ()
    page = environment.get_template(TEMPLATE).render(
        records=records,
        runs=runs,
        comparison=comparison,
        mean_rows=check_rows(mean_checks),
        verdict=text.overall_verdict(mean_checks) if mean_checks else None,
        charts=charts,
        title=_title(records, comparison),
        describe_members=describe_members,
    )
    return page + "\n"


def draw_charts(runs: Sequence[ReportedRun]) -> list[str]:
    """Draw the curves of all runs, as SVG."""
    names = _name_runs([run.record for run in runs])
    named = list(zip(names, runs, strict=True))
    losses, accuracies, rates = [], [], []
    for name, epochs in _list_histories(named):
        x = [float(epoch.epoch) for epoch in epochs]
        losses.append((name, x, [epoch.train_loss for epoch in epochs], False))
        accuracies.append((name, x, [100 * epoch.train_accuracy for epoch in epochs], False))
        validated = [epoch for epoch in epochs if epoch.validation_accuracy is not None]
        if validated:
            x = [float(epoch.epoch) for epoch in validated]
            losses.append((name, x, [epoch.validation_loss or 0 for epoch in validated], True))
            held_out = [100 * (epoch.validation_accuracy or 0) for epoch in validated]
            accuracies.append((name, x, held_out, True))
    for name, run in named:
        stride = max(1, len(run.learning_rates) // POINTS)
        steps = range(0, len(run.learning_rates), stride)
        rates.append(
            (name, list(map(float, steps)), [run.learning_rates[step] for step in steps], False)
        )
    dashes = "; dashed: validation set" if any(dashed for *_, dashed in losses) else ""
    charts = [
        draw_curves(f"Training loss{dashes}", ("epoch", "loss"), losses),
        draw_curves(f"Training accuracy{dashes}", ("epoch", "accuracy, %"), accuracies),
        draw_curves("Learning rate", ("step", "rate"), rates),
        draw_reliability([(name, run.metrics.calibration) for name, run in named]),
    ]
    if len(runs) > 1:
        tested = [(name, run.metrics.accuracy, run.metrics.interval) for name, run in named]
        kind = runs[0].record.data.evaluated_on.capitalize()
        charts.append(draw_intervals(f"{kind} accuracy, 95 % intervals", tested))
    return charts


def _list_histories(
    named: Sequence[tuple[str, ReportedRun]],
) -> Iterator[tuple[str, Sequence[EpochRecord]]]:
    """Yield the epochs of every network, with its name; an ensemble has several."""
    for name, run in named:
        members = dict.fromkeys(epoch.member for epoch in run.record.epochs)
        for member in members:
            own = [epoch for epoch in run.record.epochs if epoch.member == member]
            yield (name if member is None else f"{name}, member {member}"), own


def encode_png(image: NDArray[np.uint8]) -> str:
    """Encode a grey image, uint8 (height, width), as a data URL."""
    page = BytesIO()
    Image.fromarray(image, mode=None).save(page, format="png", optimize=True)
    return f"data:image/png;base64,{b64encode(page.getvalue()).decode()}"


def scale_filter(weights: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Scale float (height, width) to grey: 0 is middle grey, the largest weight black or white."""
    limit = float(np.abs(np.nan_to_num(weights)).max()) or 1.0
    return (127.5 * (1 + np.nan_to_num(weights) / limit)).clip(0, 255).astype(np.uint8)


def command(record: RunRecord) -> str:
    """Return the command line that repeats this run."""
    return f"mnistcli train --from {quote(record.path)}"


def _title(records: Sequence[RunRecord], comparison: Comparison | None) -> str:
    if comparison is None:
        return records[0].preset.name
    groups = ", ".join(dict.fromkeys(record.preset.name for record in records))
    return f"{len(records)} runs: {groups}"


def _name_runs(records: Sequence[RunRecord]) -> list[str]:
    """Name every run as briefly as the others allow."""
    seeds = [f"seed {record.seed}" for record in records]
    names = [f"{record.preset.name} {seed}" for record, seed in zip(records, seeds, strict=True)]
    if len({record.preset.name for record in records}) == 1 and len(set(seeds)) == len(seeds):
        return seeds
    if len(set(names)) < len(names):
        names = [record.run_id for record in records]
    return [name if len(name) <= NAME_WIDTH else f"…{name[1 - NAME_WIDTH :]}" for name in names]
