"""The `coreset` command: a selection, its coverage of the images, and a contact sheet."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mnistcli.engine.events import Emit
from mnistcli.engine.stages import Stages
from mnistcli.errors import PresetError
from mnistcli.experiment.coresets.select import SelectedCoreset, SelectionInputs, select_coreset
from mnistcli.experiment.coresets.sheet import lay_out
from mnistcli.experiment.data import load_data
from mnistcli.experiment.machine import Options, choose_machine
from mnistcli.preset.coreset import default_selector
from mnistcli.preset.schema import Preset
from mnistcli.records.comparisons import CoresetDocument, CoverageResult
from mnistcli.records.folders import create_run_folder
from mnistcli.records.reports import SheetRow
from mnistcli.records.store import write_document
from mnistcli.selection.coreset.groups import Floats
from mnistcli.selection.features import measure_coverage


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
    examples, stages = load_data(preset, options, machine).train, Stages(emit)
    inputs = SelectionInputs(examples, options.seed, machine, stages)
    selected = select_coreset(settings, examples, options.seed, inputs, stages)
    random = settings.model_copy(update={"selector": default_selector("random")})
    baseline = select_coreset(random, examples, options.seed, inputs, Stages(lambda event: None))
    components = inputs.components
    with stages("coverage"):
        coverage, random_coverage = _cover(components, selected), _cover(components, baseline)
    sheet = lay_out(examples, selected, inputs.score("el2n")) if with_sheet else ()
    name, now = f"{preset.name}-{settings.selector.kind}", datetime.now(UTC)
    folder = create_run_folder(options.out, name, options.seed, now)
    saved = replace(selected, seconds=dict(stages.seconds)).save(folder, settings)
    document = CoresetDocument(
        preset=preset.name,
        seed=options.seed,
        method=settings.selector.kind,
        coverage=coverage,
        random_coverage=random_coverage,
        **dict(saved),
    )
    write_document(folder / "coreset.json", document)
    return Selection(document, sheet)


def _cover(points: Floats, selected: SelectedCoreset) -> CoverageResult:
    return CoverageResult(**measure_coverage(points, selected.indices)._asdict())
