"""A run's record and weights → how right its network is."""

from pathlib import Path

from mnistcli.engine import device as devices
from mnistcli.engine.data import Split, fingerprint, load_examples
from mnistcli.engine.evaluation import Evaluation, evaluate
from mnistcli.engine.model import build_model
from mnistcli.experiment.options import Options
from mnistcli.records.checkpoint import load_weights
from mnistcli.records.documents import DigitResult, EvaluationDocument
from mnistcli.records.store import read_record
from mnistcli.verdict.stats import wilson_interval


def evaluate_run(folder: Path, split: Split, options: Options) -> EvaluationDocument:
    """Rebuilds a run's network, loads its weights and lets it answer to a split.

    Raises:
        FileError: record, weights or data are unreadable or do not fit each other.
        UsageError: there is no such device.
    """
    record = read_record(folder)
    device = devices.choose_device(options.device)
    devices.choose_threads(options.threads)
    model = build_model(record.preset.model.layers, devices.make_generator(0, "weights"))
    load_weights(model, folder)
    examples = load_examples(split, options.data)
    same_images = split == "test" and fingerprint(examples) == record.data.test_sha256
    result = evaluate(model.to(device), examples.to(device), record.preset.normalization)
    return EvaluationDocument(
        run_id=record.run_id,
        preset=record.preset.name,
        split=split,
        data=str(options.data) if options.data else "MNIST (embedded)",
        accuracy=result.accuracy,
        correct=result.correct,
        total=result.total,
        loss=result.loss,
        interval=wilson_interval(result.correct, result.total),
        confusion=tuple(tuple(row) for row in result.confusion.tolist()),
        per_class=_judge_digits(result),
        matches_record=result.correct == record.test.correct if same_images else None,
    )


def _judge_digits(result: Evaluation) -> tuple[DigitResult, ...]:
    rows = []
    for digit, row in enumerate(result.confusion.tolist()):
        total, correct = sum(row), row[digit]
        accuracy = correct / total if total else None
        rows.append(DigitResult(digit=digit, total=total, correct=correct, accuracy=accuracy))
    return tuple(rows)
