"""Run folder → the contents of its report."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mnistcli.datasets.examples import SIDE, Examples
from mnistcli.engine.evaluation import Evaluation, measure_losses
from mnistcli.engine.network.contain import contain
from mnistcli.engine.optim import plan_schedule, trace_settings, trace_timed
from mnistcli.experiment.coresets.select import read_coreset
from mnistcli.experiment.coresets.sheet import lay_out
from mnistcli.experiment.data import load_data
from mnistcli.experiment.evaluate import compute_metrics, select_worst
from mnistcli.experiment.load_run import LoadedRun, load_run
from mnistcli.experiment.machine import Options, choose_machine
from mnistcli.experiment.network import build_network, describe_network, list_sizes, make_recipe
from mnistcli.records.arrays import INDICES
from mnistcli.records.documents import LayerRow
from mnistcli.records.reports import ReportedRun, Sample, SheetRow

SAMPLES = 30
FILTERS = 64


def collect_report(folder: Path, options: Options) -> ReportedRun:
    """Read a run, and evaluate its network once more on the images of its result.

    Args:
        folder: run folder.
        options: device and threads, and the folder of the run's data if it was moved.

    Raises:
        FileError: record, weights or data are unreadable, or do not belong together.
        UsageError: the device is not available.
    """
    run = load_run(folder, options)
    record, preset = run.record, run.record.preset
    test = run.load_evaluated()
    found = run.evaluate(test)
    metrics = compute_metrics(found, test.labels.cpu())
    return ReportedRun(
        record=record,
        layers=[LayerRow(**asdict(layer)) for layer in describe_network(preset)],
        learning_rates=_trace(run, options),
        metrics=metrics,
        samples=_sample(found, test),
        sample_images=test.images[:SAMPLES, 0].cpu().numpy(),
        worst_images=np.array(select_worst(metrics, test), dtype=np.uint8).reshape(-1, SIDE, SIDE),
        filters=_find_filters(run.model),
        sheet=_lay_out(run, options) if record.coreset else (),
    )


def _trace(run: LoadedRun, options: Options) -> Sequence[float]:
    """Return the learning rate of every step, from the schedule alone.

    Of an ensemble, those of its first member.
    """
    record, rates = run.record, list[float]()
    machine = choose_machine(options)
    preset = record.preset.standalone
    recipe = make_recipe(preset, record.seed, machine)
    for stage, history in zip(preset.stages, record.stages, strict=False):
        epochs = [epoch for epoch in history if epoch.member in {None, 1}]
        optimizer = build_network(stage, record.seed, machine).optimizer
        steps = [recipe.count_steps(epoch.images) for epoch in epochs]
        if stage.train.within_seconds is None:
            # Early stopping may have ended what was planned for more epochs.
            further = [steps[-1]] * (stage.train.epochs - len(steps)) if steps else []
            schedule = plan_schedule(stage.train, optimizer, [*steps, *further])
            losses = [epoch.validation_loss for epoch in epochs]
            found = trace_settings(schedule, optimizer, steps, losses)
        else:
            planned = map(recipe.count_steps, list_sizes(preset, record.train_examples))
            schedule = plan_schedule(stage.train, optimizer, [*planned])
            times = [epoch.seconds for epoch in epochs]
            found = trace_timed(schedule, optimizer, steps, times)
        rates += [float(first["lr"]) for first, *_ in found]
    return rates


def _sample(found: Evaluation, test: Examples) -> list[Sample]:
    """Return the first test images with their predictions."""
    labels, predictions = test.labels[:SAMPLES].tolist(), found.predictions[:SAMPLES].tolist()
    confidences = found.probabilities[:SAMPLES].amax(dim=1).tolist()
    triples = zip(labels, predictions, confidences, strict=True)
    return [Sample(index, *triple) for index, triple in enumerate(triples)]


def _find_filters(model: nn.Module) -> NDArray[np.float32]:
    """Return the weights of the first layer, if they apply to the image itself."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == 1:
            return module.weight[:FILTERS, 0].detach().cpu().float().numpy()
        if isinstance(module, nn.Linear) and module.in_features == SIDE**2:
            kernels = module.weight[:FILTERS].detach().cpu().float()
            return kernels.view(-1, SIDE, SIDE).numpy()
        if isinstance(module, nn.Conv2d | nn.Linear):
            break
    return np.zeros((0, 1, 1), dtype=np.float32)


def _lay_out(run: LoadedRun, options: Options) -> tuple[SheetRow, ...]:
    """Return selected and dropped images, by the loss of the trained network."""
    record = run.record
    seeded = Options(
        record.seed, options.device, "auto", options.threads, run.data, hold_out=run.is_held_out
    )
    data = load_data(record.preset, seeded, choose_machine(seeded))
    if data.source.train_sha256 != record.data.train_sha256:
        raise run.lacks("train")
    choice = read_coreset(run.folder / INDICES, data.train)
    with contain(record.preset.model.code):
        losses = measure_losses(run.model, data.train, record.preset.normalization)
    return lay_out(data.train, choice, torch.nan_to_num(losses).numpy())
