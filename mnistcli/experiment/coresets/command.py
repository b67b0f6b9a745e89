"""The `coreset` command's work: a choice, how well it covers the images, and a contact sheet."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mnistcli.engine.events import Emit
from mnistcli.engine.stages import Stages
from mnistcli.errors import PresetError
from mnistcli.experiment.coresets.select import SelectionInputs, cover, select_coreset
from mnistcli.experiment.coresets.sheet import lay_out
from mnistcli.experiment.data import load_data
from mnistcli.experiment.machine import Options, choose_machine
from mnistcli.preset.coreset import default_selector
from mnistcli.preset.schema import Preset
from mnistcli.records.comparisons import CoresetDocument
from mnistcli.records.folders import create_run_folder
from mnistcli.records.reports import SheetRow
from mnistcli.records.store import write_document


@dataclass(frozen=True)
class Selection:
    """A choice, and the pictures asked for."""

    document: CoresetDocument
    sheet: tuple[SheetRow, ...]


def select(preset: Preset, options: Options, emit: Emit, *, with_sheet: bool) -> Selection:
    """Chooses the preset's coreset and leaves indices and document in a folder of its own.

    Args:
        preset: has a [coreset].
        options: where, on which data, from which seed.
        emit: told of every stage.
        with_sheet: whether to find images for a contact sheet too.

    Raises:
        PresetError: there is no [coreset], or it does not fit the data.
        UsageError: there is no such device.
        FileError: data cannot be read or results not be written.
    """
    settings = preset.coreset
    if settings is None:
        raise PresetError(f"preset {preset.name} has no [coreset]; say --size N")
    machine = choose_machine(options)
    examples = load_data(preset, options, machine).train
    stages = Stages(emit)
    inputs = SelectionInputs(examples, options.seed, machine, stages)
    choice = select_coreset(settings, examples, options.seed, inputs, stages)
    chance = settings.model_copy(update={"selector": default_selector("random")})
    by_chance = select_coreset(chance, examples, options.seed, inputs, Stages(lambda event: None))
    components = inputs.components
    with stages("coverage"):
        covers = [cover(components, each.indices) for each in (choice, by_chance)]
    sheet = lay_out(examples, choice, inputs.difficulty.scores["el2n"]) if with_sheet else ()
    name = f"{preset.name}-{settings.selector.kind}"
    folder = create_run_folder(options.out, name, options.seed, datetime.now(UTC))
    saved = replace(choice, seconds=dict(stages.seconds)).save(folder, settings)
    document = CoresetDocument(
        preset=preset.name,
        seed=options.seed,
        method=settings.selector.kind,
        size=saved.size,
        total=saved.total,
        class_counts=saved.class_counts,
        settings=settings,
        seconds=saved.seconds,
        coverage=covers[0],
        random_coverage=covers[1],
        indices_file=saved.indices_file,
        indices_sha256=saved.indices_sha256,
    )
    write_document(folder / "coreset.json", document)
    return Selection(document, sheet)
