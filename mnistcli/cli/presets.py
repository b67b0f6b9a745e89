"""`mnistcli presets …`: what presets there are, and how to make one's own."""

from pathlib import Path
from typing import Annotated

import typer

from mnistcli.cli.options import JsonOption, PresetArgument

app = typer.Typer(
    no_args_is_help=True, help="Lists, shows, copies and validates presets; prints their schema."
)


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """The bundled presets."""
    from mnistcli.cli.output import show
    from mnistcli.display.tables import presets_view
    from mnistcli.preset.loading import find_preset, list_presets, load_preset
    from mnistcli.records.documents import PresetList, PresetRow

    rows = (
        PresetRow(name=name, title=load_preset(name).title, path=str(find_preset(name)))
        for name in list_presets()
    )
    document = PresetList(presets=tuple(rows))
    show(document, presets_view(document), as_json=as_json)


@app.command("show")
def show_(preset: PresetArgument, as_json: JsonOption = False) -> None:
    """A preset's TOML text, or with --json all of its fields, defaults too."""
    from mnistcli.cli.output import show_preset, write
    from mnistcli.preset.loading import find_preset, load_preset, read_preset_text

    loaded = load_preset(preset)
    if as_json:
        show_preset(loaded)
    else:
        write(read_preset_text(find_preset(preset)))


@app.command()
def copy(
    preset: PresetArgument,
    destination: Annotated[
        Path, typer.Argument(help="The new file, or a folder to put it in.", metavar="FILE")
    ],
) -> None:
    """Copies a preset, to be changed; never overwrites."""
    from mnistcli.cli.output import write
    from mnistcli.preset.loading import copy_preset

    write(f"{copy_preset(preset, destination)}\n")


@app.command()
def validate(
    presets: Annotated[list[str], typer.Argument(metavar="PRESET...", help="Names or files.")],
) -> None:
    """Checks presets, and that their networks can be built."""
    from mnistcli.cli.output import write
    from mnistcli.experiment.summary import summarize
    from mnistcli.preset.loading import load_preset

    for preset in presets:
        summary = summarize(load_preset(preset))
        write(f"{preset}: valid, {summary.parameters:,} parameters\n")


@app.command()
def schema() -> None:
    """The JSON Schema of a preset, for editors and other tools."""
    import json

    from mnistcli.cli.output import write
    from mnistcli.preset.schema import Preset

    write(json.dumps(Preset.model_json_schema(), indent=2) + "\n")
