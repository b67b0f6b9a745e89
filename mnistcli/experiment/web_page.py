"""Run in integers → the web page that runs it."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mnistcli.experiment.answers import REFUSED, AnswerSample, draw_sample, measure_limits
from mnistcli.experiment.data import split_again
from mnistcli.experiment.load_run import LoadedRun
from mnistcli.export.facts import Facts
from mnistcli.export.integer import IntegerModel
from mnistcli.export.page import HardImage, choose_hardest, render_page
from mnistcli.export.similarity import SimilarityCheck, fit_check
from mnistcli.records.documents import AnswerLimits

HARD_IMAGES = 12


def build_page(run: LoadedRun, model: IntegerModel, facts: Facts, logits: NDArray[np.int32]) -> str:
    """Return the page, with the hardest test images and limits for what looks like no digit.

    Args:
        run: the run, for its images.
        model: its network in integers.
        facts: what is known of them.
        logits: of the model for the test images, (n, 10).

    Raises:
        FileError: the run's images are unreadable.
    """
    test, _ = run.load_images("test")
    images, labels = test.images[:, 0].cpu().numpy(), test.labels.cpu().numpy()
    places = choose_hardest(model, logits, labels, HARD_IMAGES)
    hard = [HardImage(place, int(labels[place]), images[place]) for place in places]
    limits, check = _measure_limits(run, model)
    return render_page(model, replace(facts, answer_limits=limits), hard, check)


def _measure_limits(
    run: LoadedRun, model: IntegerModel
) -> tuple[AnswerLimits | None, SimilarityCheck | None]:
    """Return the record's limits, or an older run's as they would have been, and the page's own."""
    record = run.record
    examples, sha256 = run.load_images("train")
    if sha256 != record.data.train_sha256:
        return record.answer_limits, None
    sample = draw_sample(*split_again(record, examples), record.seed)
    limits = record.answer_limits or measure_limits(sample, run.evaluate)
    return limits, _fit_check(sample, model) if limits else None


def _fit_check(sample: AnswerSample, model: IntegerModel) -> SimilarityCheck:
    references, measured = (
        examples.images[:, 0].cpu().numpy() for examples in (sample.references, sample.measured)
    )
    return fit_check(model, references, measured, REFUSED)
