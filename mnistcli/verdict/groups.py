"""Run records and references → groups of the same training."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from mnistcli.datasets.embedded import MNIST_SHA256
from mnistcli.errors import UsageError
from mnistcli.preset.schema import Preset
from mnistcli.records.comparisons import Group
from mnistcli.records.documents import RunRecord
from mnistcli.records.sources import DataSource
from mnistcli.verdict.changes import HASH_SHOWN, hash_of_indices_file, list_run_changes
from mnistcli.verdict.claims import audit_claims, measured_by_reference, measured_by_runs
from mnistcli.verdict.stats import Sample, accuracy_interval, wilson_interval

TEST_IMAGES = 10_000


class Kind(NamedTuple):
    """What all runs of a group have in common."""

    preset: Preset
    precision: str
    device: str
    train_sha256: str
    indices_sha256: str | None
    """Hash of the indices read from a file, if they were."""


def make_groups(members: Sequence[RunRecord | Preset]) -> list[Group]:
    """Group the members, in the order of each group's first; no run or preset counts twice.

    Args:
        members: runs, and presets that stand for their [reference].

    Raises:
        UsageError: runs were tested on different images, or a preset has no [reference].
    """
    runs = [one for one in members if isinstance(one, RunRecord)]
    tested = {run.data.test_sha256 for run in runs}
    if len(tested) > 1:
        names = ", ".join(sorted({_name_images(run.data) for run in runs}))
        raise UsageError(
            f"these runs were tested on different images: {names}. Compare runs on the same."
        )
    if len(runs) < len(members) and not tested <= {MNIST_SHA256["test"]}:
        raise UsageError("[reference] was measured on other test images; leave it out")
    of_kind: dict[Kind, dict[str, RunRecord]] = {}
    order: dict[Kind | Preset, None] = {}
    for member in members:
        if isinstance(member, Preset):
            order[member] = None
        else:
            kind = _kind_of(member)
            order[kind] = None
            # The same weights again are the same training again: no further evidence.
            of_kind.setdefault(kind, {}).setdefault(member.weights_sha256, member)
    firsts: dict[str, RunRecord] = {}
    groups: list[Group] = []
    for entry in order:
        if isinstance(entry, Preset):
            groups.append(_group_of_reference(entry))
        else:
            groups.append(_group_of_runs(list(of_kind[entry].values()), firsts))
    return _number(groups)


def _name_images(data: DataSource) -> str:
    return data.source if data.evaluated_on == "test" else f"{data.source} (held-out)"


def _kind_of(run: RunRecord) -> Kind:
    # A preset stays the same when its published or measured figures change.
    preset = run.preset.model_copy(update={"published": None, "reference": None})
    return Kind(preset, run.precision, run.device, run.data.train_sha256, hash_of_indices_file(run))


def _tell_apart(run: RunRecord, firsts: dict[str, RunRecord]) -> str:
    """Return the preset's name; for a second group of that name with its differences."""
    first = firsts.setdefault(run.preset.name, run)
    changes = ["held-out"] if run.data.evaluated_on == "held-out" else []
    changes += list_run_changes(first, run, ("precision", "device"))
    if run.data.train_sha256 != first.data.train_sha256:
        changes.append("other training images")
    if file := hash_of_indices_file(run):
        changes.append(f"{run.train_examples:,} images from file {file[:HASH_SHOWN]}")
    return f"{run.preset.name} ({', '.join(changes)})" if changes else run.preset.name


def _number(groups: Sequence[Group]) -> list[Group]:
    """Add a number to names that several groups have."""
    seen: dict[str, int] = {}
    named = []
    for group in groups:
        count = seen[group.name] = seen.get(group.name, 0) + 1
        name = group.name if count == 1 else f"{group.name} #{count}"
        named.append(group.model_copy(update={"name": name}))
    return named


def _group_of_runs(runs: Sequence[RunRecord], firsts: dict[str, RunRecord]) -> Group:
    name = _tell_apart(runs[0], firsts)
    runs = sorted(runs, key=lambda run: (run.seed, run.run_id))
    last = runs[-1]
    accuracies = [run.test.accuracy for run in runs]
    sample = Sample.of(accuracies)
    single = wilson_interval(last.test.correct, last.test.total)
    is_documented = last.data.test_sha256 == MNIST_SHA256["test"] and not hash_of_indices_file(last)
    return Group(
        name=name,
        source="runs",
        runs=tuple(run.run_id for run in runs),
        seeds=tuple(run.seed for run in runs),
        parameters=last.parameters,
        macs=last.macs,
        train_examples=last.train_examples,
        test_images=last.test.total,
        accuracies=tuple(accuracies),
        mean_accuracy=sample.mean,
        sd=sample.standard_deviation,
        interval=accuracy_interval(sample) or single,
        train_seconds=median(run.train_seconds for run in runs),
        claims=(
            audit_claims(last.preset, last.parameters, measured_by_runs(runs))
            if is_documented
            else ()
        ),
        pareto=False,
        non_zero_weights=last.pruning.non_zero_weights if last.pruning else None,
    )


def _group_of_reference(preset: Preset) -> Group:
    reference = preset.reference
    if reference is None:
        raise UsageError(f"preset {preset.name} has no [reference]; give runs of it instead")
    sample = Sample(reference.mean_test_accuracy, reference.sd_test_accuracy, len(reference.seeds))
    return Group(
        name=f"{preset.name} [reference]",
        source="reference",
        runs=(),
        seeds=reference.seeds,
        parameters=reference.parameters,
        macs=reference.macs,
        train_examples=None,
        test_images=TEST_IMAGES,
        accuracies=reference.test_accuracies,
        mean_accuracy=sample.mean,
        sd=sample.standard_deviation,
        interval=accuracy_interval(sample),
        train_seconds=reference.seconds_alone or reference.median_train_seconds,
        claims=audit_claims(preset, reference.parameters, measured_by_reference(reference)),
        pareto=False,
    )
