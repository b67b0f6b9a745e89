"""A run → a small SVG badge for a README."""

from pathlib import Path
from xml.sax.saxutils import escape

from rich.cells import cell_len

from mnistcli.display.text import count, percent
from mnistcli.records.documents import RunRecord

PASSED, FAILED, UNCHECKED, LABEL = "#1a7f37", "#cf222e", "#0969da", "#57606a"
CHARACTER, PADDING, LABEL_LIMIT = 6.1, 8, 24
"""Mean width of a character in DejaVu Sans and of the margins, in pixels; characters of a label."""

TEMPLATE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{text}">
<title>{text}</title>
<rect width="{width}" height="20" rx="3" fill="{colour}"/>
<path d="M3 0h{inner}v20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z" fill="{label_colour}"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">
{label}
{message}
</g>
</svg>
"""


def draw_badge(record: RunRecord) -> str:
    """Return the accuracy, the parameters and the verdict, if a budget was checked."""
    label = _name_images(record)
    held_out = " held-out" if record.data.evaluated_on == "held-out" else ""
    parts = [f"{percent(record.test.accuracy)}{held_out}", count(record.parameters, "parameter")]
    verdict = record.verdict.upper() if record.checks else ""
    message = " · ".join([*parts, verdict] if verdict else parts)
    first, second = _width(label), _width(message)
    return TEMPLATE.format(
        width=first + second,
        inner=first - 3,
        text=escape(f"{label} {message}", {'"': "&quot;"}),
        colour={"PASS": PASSED, "FAIL": FAILED}.get(verdict, UNCHECKED),
        label_colour=LABEL,
        label=_draw_text(label, 0, first),
        message=_draw_text(message, first, second),
    )


def _draw_text(text: str, left: int, width: int) -> str:
    """Return a text that fills its box, whatever the font's own widths are."""
    inner = width - 2 * PADDING
    return f'<text x="{left + PADDING}" y="14" textLength="{inner}">{escape(text)}</text>'


def _width(text: str) -> int:
    return round(CHARACTER * cell_len(text)) + 2 * PADDING


def _name_images(record: RunRecord) -> str:
    """Return "mnist" for the embedded images, and the folder's name for others."""
    name = Path(record.data.folder).name if record.data.folder else "mnist"
    shown = "".join(c for c in name if c.isprintable()).strip() or "images"
    return shown if len(shown) <= LABEL_LIMIT else f"{shown[: LABEL_LIMIT - 1]}…"
