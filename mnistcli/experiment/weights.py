"""A network with weights that were trained elsewhere → its evaluation and budget."""

from pathlib import Path
from typing import Any

from torch import nn

from mnistcli.datasets.cached import name_data
from mnistcli.datasets.examples import Examples, fingerprint
from mnistcli.datasets.load import load_examples
from mnistcli.engine import device as devices
from mnistcli.engine.evaluation import Evaluation, evaluate
from mnistcli.engine.network.build import count_parameters
from mnistcli.engine.network.contain import contain
from mnistcli.engine.network.own import look_at_outputs
from mnistcli.engine.profiling import measure_inference
from mnistcli.errors import FileError
from mnistcli.experiment.evaluate import BATCH, EvaluationResult, compute_metrics, select_worst
from mnistcli.experiment.machine import Options
from mnistcli.experiment.network import build_plain, describe_network
from mnistcli.experiment.sizes import count_sizes
from mnistcli.preset.choices import Split
from mnistcli.preset.schema import Preset
from mnistcli.records.evaluations import EvaluationDocument
from mnistcli.records.weights import load_state_dict, read_state_dict
from mnistcli.verdict.budget import check_budget, passed


def evaluate_weights(
    preset: Preset, weights: Path, split: Split, options: Options
) -> EvaluationResult:
    """Evaluate the preset's network with the weights in a file, and check the preset's budget.

    Args:
        preset: for its network, normalization and budget.
        weights: a state dict in safetensors or torch.save's format.
        split: split to evaluate on.
        options: device, threads and data.

    Raises:
        PresetError: the network cannot be built.
        FileError: weights or data are unreadable, the weights do not fit, or the outputs are not
            finite.
    """
    device = devices.choose_device(options.device)
    devices.choose_threads(options.threads)
    examples = load_examples(split, options.data)
    model, warnings = _load_network(preset, weights)
    result, speeds = _measure(preset, model.to(device), examples.to(device), weights)
    document = EvaluationDocument(
        **dict(compute_metrics(result, examples.labels)),
        run_id=weights.name,
        preset=preset.name,
        split=split,
        data=name_data(options.data),
        images_per_second=speeds[0],
        milliseconds_per_image=1_000 / speeds[1],
        weights_bytes=weights.stat().st_size,
        robustness=(),
        matches_record=None,
        parameters=count_parameters(model),
        macs=preset.members * sum(each.macs for each in describe_network(preset, measured=False)),
        warnings=tuple(warnings),
    )
    document = document.model_copy(update=_check(preset, document))
    worst = select_worst(document, examples)
    return EvaluationResult(document, worst, result, options.data, fingerprint(examples))


def _measure(
    preset: Preset, model: nn.Module, examples: Examples, weights: Path
) -> tuple[Evaluation, list[float]]:
    """Return the evaluation, and the images per second in batches and one by one."""
    normalization = preset.normalization
    with contain(preset.model.code):
        try:
            result = evaluate(model, examples, normalization)
        except FloatingPointError as error:
            raise FileError(f'cannot evaluate "{weights}": {error}') from error
        sizes = (BATCH, 1)
        return result, [measure_inference(model, examples, normalization, n) for n in sizes]


def _load_network(preset: Preset, weights: Path) -> tuple[nn.Module, list[str]]:
    """Return the network with the weights in a file, and findings about its code."""
    model, state = build_plain(preset), read_state_dict(weights)
    with contain(preset.model.code):
        load_state_dict(model, state, f'"{weights}"')
    return model, look_at_outputs(code, model) if (code := preset.model.code) else []


def _check(preset: Preset, document: EvaluationDocument) -> dict[str, Any]:
    """Return the checks of the budget, and which of its figures weights alone do not show."""
    figures: dict[str, int | float] = {
        "parameters": document.parameters or 0,
        "macs": document.macs or 0,
    }
    if document.split == "test":
        figures["test_accuracy"] = document.accuracy
    checks = check_budget(preset.budget, figures, count_sizes(preset))
    known = {check.name for check in checks}
    unknown = [limit.figure for limit in preset.budget.limits if limit.figure not in known]
    return {"checks": checks, "not_checked": tuple(unknown), "passed": passed(checks)}
