"""The `coreset` command: a selection, its coverage of the images, and a contact sheet."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mnistcli.datasets.examples import Examples
from mnistcli.engine.events import Emit
from mnistcli.engine.stages import Stages
from mnistcli.errors import PresetError
from mnistcli.experiment.coresets.select import SelectedCoreset, SelectionInputs, select_coreset
from mnistcli.experiment.coresets.sheet import lay_out
from mnistcli.experiment.data import Data, load_data
from mnistcli.experiment.machine import Options, choose_machine
from mnistcli.preset.budget import Budget
from mnistcli.preset.coreset import Coreset, default_selector
from mnistcli.preset.schema import Preset
from mnistcli.records.comparisons import CoresetDocument, CoverageResult
from mnistcli.records.documents import Check
from mnistcli.records.folders import create_run_folder
from mnistcli.records.reports import SheetRow
from mnistcli.records.store import write_document
from mnistcli.selection.coreset.groups import Floats
from mnistcli.selection.features import measure_coverage
from mnistcli.verdict.budget import check_budget


@dataclass(frozen=True)
class Selection:
    """A selected coreset, and the images of its contact sheet."""

    document: CoresetDocument
    sheet: tuple[SheetRow, ...]


def select(preset: Preset, options: Options, emit: Emit, *, with_sheet: bool) -> Selection:
    """Select the preset's coreset, and write its indices and document to a new folder.

    Args:
        preset: has a [coreset].
        options: device, data, seed and output folder.
        emit: told of every stage.
        with_sheet: whether to collect the images of a contact sheet.

    Raises:
        PresetError: there is no [coreset], or it does not fit the data.
        UsageError: there is no such device.
        FileError: data cannot be read or results cannot be written.
    """
    settings = preset.coreset
    if settings is None:
        raise PresetError(f"preset {preset.name} has no [coreset]; add --size N")
    machine = choose_machine(options)
    data, stages = load_data(preset, options, machine), Stages(emit)
    inputs = SelectionInputs(data.train, options.seed, machine, stages)
    selected = select_coreset(settings, data.train, options.seed, inputs, stages)
    baseline = _select_at_random(settings, data.train, options.seed, inputs)
    components = inputs.components
    with stages("coverage"):
        coverage, random_coverage = _cover(components, selected), _cover(components, baseline)
    sheet = lay_out(data.train, selected, inputs.score("el2n")) if with_sheet else ()
    name, now = f"{preset.name}-{settings.selector.kind}", datetime.now(UTC)
    folder = create_run_folder(options.out, name, options.seed, now)
    saved = replace(selected, seconds=dict(stages.seconds)).save(folder, settings)
    document = CoresetDocument(
        preset=preset.name,
        seed=options.seed,
        method=settings.selector.kind,
        coverage=coverage,
        random_coverage=random_coverage,
        checks=_check_size(preset.budget, settings.size, data),
        **dict(saved, dataset=data.source.dataset),
    )
    write_document(folder / "coreset.json", document)
    return Selection(document, sheet)


def _select_at_random(
    settings: Coreset, examples: Examples, seed: int, inputs: SelectionInputs
) -> SelectedCoreset:
    """Select as many images, with the same balance, and tell nobody."""
    random = settings.model_copy(update={"selector": default_selector("random")})
    return select_coreset(random, examples, seed, inputs, Stages(lambda event: None))


def _check_size(budget: Budget, size: int, data: Data) -> tuple[Check, ...]:
    total = len(data.train) + len(data.validation or ())
    return check_budget(budget, {"train_fraction": size / total, "train_examples": size})


def _cover(points: Floats, selected: SelectedCoreset) -> CoverageResult:
    return CoverageResult(**measure_coverage(points, selected.indices)._asdict())
