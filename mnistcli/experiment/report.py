"""Run folders → all that a report of them shows."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mnistcli.datasets.examples import SIDE, Examples, fingerprint
from mnistcli.datasets.idx import load_examples
from mnistcli.engine.evaluation import Evaluation, evaluate, measure_losses
from mnistcli.engine.network.build import describe_model
from mnistcli.engine.optim import build_schedule, trace_rates
from mnistcli.errors import FileError
from mnistcli.experiment.coresets.select import read_coreset
from mnistcli.experiment.coresets.sheet import lay_out
from mnistcli.experiment.data import load_data
from mnistcli.experiment.evaluate import judge, pick_worst
from mnistcli.experiment.load_run import Rebuilt, rebuild
from mnistcli.experiment.machine import Options, choose_machine
from mnistcli.experiment.network import build_network, make_recipe
from mnistcli.records.arrays import INDICES
from mnistcli.records.documents import LayerRow
from mnistcli.records.evaluations import Answers
from mnistcli.records.reports import ReportedRun, Sample, SheetRow

SAMPLES = 30
FILTERS = 64


def gather(folder: Path, options: Options) -> ReportedRun:
    """Reads a run, and lets its network answer to the test images once more.

    Args:
        folder: the run's.
        options: where to compute, and on which data: the run's own.

    Raises:
        FileError: record, weights or data are unreadable or do not fit each other.
        UsageError: there is no such device.
    """
    rebuilt = rebuild(folder, options)
    record, preset = rebuilt.record, rebuilt.record.preset
    test = load_examples("test", options.data).to(rebuilt.device)
    if fingerprint(test) != record.data.test_sha256:
        raise FileError(
            f'"{folder}" was tested on other images, {record.data.source}; name their folder '
            "with --data"
        )
    found = evaluate(rebuilt.model, test, preset.normalization)
    answers = Answers(**judge(found, test.labels.cpu()))
    return ReportedRun(
        record=record,
        layers=[LayerRow(**asdict(layer)) for layer in describe_model(preset.model.layers)],
        learning_rates=_trace(rebuilt, options),
        answers=answers,
        samples=_sample(found, test),
        sample_images=test.images[:SAMPLES, 0].cpu().numpy(),
        worst_images=np.array(pick_worst(answers, test), dtype=np.uint8).reshape(-1, SIDE, SIDE),
        filters=_find_filters(rebuilt.model),
        sheet=_lay_out(rebuilt, options) if record.coreset else (),
    )


def _trace(rebuilt: Rebuilt, options: Options) -> Sequence[float]:
    """The schedule gone through once more, without a network that learns."""
    record = rebuilt.record
    machine = choose_machine(options)
    optimizer = build_network(record.preset, record.seed, machine).optimizer
    recipe = make_recipe(record.preset, record.seed, machine)
    steps = [recipe.count_steps(epoch.images) for epoch in record.epochs]
    schedule = build_schedule(
        record.preset.train.schedule, optimizer, epochs=len(steps), total_steps=sum(steps)
    )
    return trace_rates(schedule, optimizer, steps)


def _sample(found: Evaluation, test: Examples) -> list[Sample]:
    """The first of the test images, right or wrong."""
    labels, taken = test.labels[:SAMPLES].tolist(), found.predictions[:SAMPLES].tolist()
    sure = found.probabilities[:SAMPLES].amax(dim=1).tolist()
    triples = zip(labels, taken, sure, strict=True)
    return [Sample(index, *triple) for index, triple in enumerate(triples)]


def _find_filters(model: nn.Module) -> NDArray[np.float32]:
    """Kernels that look at the image itself; none where the first weights see something else."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == 1:
            return module.weight[:FILTERS, 0].detach().cpu().float().numpy()
        if isinstance(module, nn.Linear) and module.in_features == SIDE**2:
            kernels = module.weight[:FILTERS].detach().cpu().float()
            return kernels.view(-1, SIDE, SIDE).numpy()
        if isinstance(module, nn.Conv2d | nn.Linear):
            break
    return np.zeros((0, 1, 1), dtype=np.float32)


def _lay_out(rebuilt: Rebuilt, options: Options) -> tuple[SheetRow, ...]:
    """Kept and dropped images, by the loss that the run's network has on them."""
    record = rebuilt.record
    seeded = Options(record.seed, options.device, "auto", options.threads, options.data)
    train = load_data(record.preset, seeded, choose_machine(seeded)).train
    choice = read_coreset(rebuilt.folder / INDICES, train)
    losses = measure_losses(rebuilt.model, train, record.preset.normalization)
    return lay_out(train, choice, torch.nan_to_num(losses).numpy())
