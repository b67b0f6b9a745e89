"""Integer model → a web page that runs it: one file, without any request."""

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, assert_never

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from mnistcli.export.facts import Accuracy, Facts
from mnistcli.export.integer import (
    BYTES,
    Convolution,
    IntegerModel,
    Offset,
    Pool,
    Rectify,
    Stage,
    Step,
)
from mnistcli.export.memory import count_constants, pack
from mnistcli.export.similarity import SimilarityCheck
from mnistcli.records.documents import AnswerLimits

FOLDER = Path(__file__).parent / "web"
NETWORK = ("network.js", "ink.js", "similarity.js")
"""Scripts that work without a page, too."""
DRAWING = ("app.js",)
TEMPLATE = "page.html.jinja"
COMMENTS = re.compile(r"(?:^|\s)//[^\n]*")
STRINGS_AND_SPACES = re.compile(
    r"""("(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|\s*([-{}()\[\]=+*/<>?:;,&|!%.])\s*|\s+"""
)

Json = dict[str, Any]


@dataclass(frozen=True)
class HardImage:
    """A test image to try."""

    number: int
    """Its place in the test set, from 0."""
    label: int
    image: NDArray[np.uint8]
    """(28, 28)."""


def choose_hardest(
    model: IntegerModel, logits: NDArray[np.int32], labels: NDArray[np.int64], count: int
) -> list[int]:
    """Return the places of the hardest images: misread ones, then those with the lowest confidence.

    Half of them are misread, if there are so many: those whose label is the most improbable.
    """
    rows = np.arange(len(labels))
    shifted = (logits - logits.max(axis=1, keepdims=True)) * model.logit_scale
    probabilities = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    order = np.argsort(probabilities[rows, labels], kind="stable")
    is_right = logits.argmax(axis=1)[order] == labels[order]
    misread = order[~is_right][: count // 2]
    return [*misread.tolist(), *order[is_right][: count - len(misread)].tolist()]


def render_page(
    model: IntegerModel,
    facts: Facts,
    hard_images: Sequence[HardImage] = (),
    check: SimilarityCheck | None = None,
) -> str:
    """Return the page that runs a model.

    Args:
        model: the network.
        facts: what the page says about it.
        hard_images: images to try.
        check: what tells that an image looks like no digit; None answers to any.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "hash": _hash,
        "accuracy": _write_accuracy,
        "interval": _write_interval,
    }
    first = next((each.convolution for each in model.stages if each.convolution), None)
    page = environment.get_template(TEMPLATE).render(
        facts=facts,
        constants=count_constants(model),
        maps=len(first.weights) if first else 0,
        hard=len(hard_images),
        limits=_describe_limits(facts, check),
        data=_embed(_Description().describe(model, facts.answer_limits, hard_images, check)),
        style=_shorten_style("page.css"),
        script=_join_scripts(),
    )
    return page + "\n"


def _read(names: Sequence[str]) -> str:
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in names)


def _join_scripts() -> Markup:
    network, drawing = (_shorten_script(_read(names)) for names in (NETWORK, DRAWING))
    return Markup('"use strict";{' + network + "if(document.body){" + drawing + "}}")


def _shorten_script(text: str) -> str:
    """Return a script without comments and spaces that only readers need."""

    def shorten(found: re.Match[str]) -> str:
        string, sign = found.groups()
        return string or sign or ("\n" if "\n" in found[0] else " ")

    return STRINGS_AND_SPACES.sub(shorten, COMMENTS.sub("", text))


def _shorten_style(*names: str) -> Markup:
    return Markup(re.sub(r"\s*([{};,])\s*|(?<=:)\s+", r"\1", _read(names)))


def _hash(text: str) -> Markup:
    """Return a source as a Content-Security-Policy allows it."""
    return Markup(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'")


def _embed(document: Json) -> Markup:
    """Return JSON that cannot end the element that it stands in."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


class _Description:
    """The document that the script reads: a model, with arrays that occur twice in it once."""

    def __init__(self) -> None:
        self._arrays: dict[str, int] = {}

    def describe(
        self,
        model: IntegerModel,
        limits: AnswerLimits | None,
        hard_images: Sequence[HardImage],
        check: SimilarityCheck | None,
    ) -> Json:
        return {
            "zero": model.zero,
            "logit_scale": model.logit_scale,
            "min_confidence": limits.min_confidence if limits else None,
            "stages": [self._describe_stage(stage) for stage in model.stages],
            "check": check
            and {
                "shapes": self._keep(check.shapes),
                "answers": self._keep(check.answers),
                "min_similarity": check.min_similarity,
            },
            "examples": [_describe_image(each) for each in hard_images],
            "arrays": list(self._arrays),
        }

    def _describe_stage(self, stage: Stage) -> Json:
        return {
            "sources": stage.sources,
            "conv": stage.convolution and self._describe_convolution(stage.convolution),
            "steps": [self._describe_step(step) for step in stage.steps],
            "multipliers": self._keep(stage.multipliers),
            "shift": stage.shift,
            "low": stage.low,
            "high": stage.high,
            "table": None if stage.table is None else self._keep(stage.table),
            "pool": stage.pool,
        }

    def _describe_convolution(self, convolution: Convolution) -> Json:
        levels = convolution.levels
        return {
            "shape": convolution.weights.shape,
            "levels": None if levels == BYTES else (levels.bits, levels.first, levels.step),
            "weights": self._keep(pack(convolution.weights, levels)),
            "bias": self._keep(convolution.bias),
            "stride": convolution.stride,
            "padding": convolution.padding,
            "dilation": convolution.dilation,
            "groups": convolution.groups,
        }

    def _describe_step(self, step: Step) -> Json:
        match step:
            case Rectify():
                return {"kind": "rectify"}
            case Pool():
                return {"kind": step.kind, "height": step.height, "width": step.width}
            case Offset():
                return {"kind": "offset", "values": self._keep(step.values)}
            case _:
                assert_never(step)

    def _keep(self, values: NDArray[np.integer[Any]]) -> int:
        """Return the place of an array among all arrays; its lowest bytes come first."""
        content = values.astype(values.dtype.newbyteorder("<")).tobytes()
        return self._arrays.setdefault(b64encode(content).decode(), len(self._arrays))


def _describe_image(hard: HardImage) -> Json:
    """Return an image whose runs of black pixels are a 0 and their number."""
    content = re.sub(rb"\0{1,255}", lambda run: bytes((0, len(run[0]))), hard.image.tobytes())
    return {"number": hard.number, "label": hard.label, "pixels": b64encode(content).decode()}


def _write_accuracy(accuracy: Accuracy) -> str:
    return f"{100 * accuracy.correct / accuracy.total:.2f} %"


def _write_interval(accuracy: Accuracy) -> str:
    low, high = accuracy.interval
    return f"{100 * low:.2f} – {100 * high:.2f} %"


def _describe_limits(facts: Facts, check: SimilarityCheck | None) -> str:
    """Return when there is no answer."""
    limits = facts.answer_limits
    if limits is None:
        return "Never: this run has no limits"
    confidence = f"Where the confidence is below {100 * limits.min_confidence:.1f} %"
    reached = f"99.8 % of {limits.images:,} {limits.measured_on} reach"
    if check is None:
        return f"{confidence}, which {reached}"
    similarity = f"or the similarity to the training images below {check.min_similarity:.2f}"
    return f"{confidence}, {similarity}; {reached} each of them"
