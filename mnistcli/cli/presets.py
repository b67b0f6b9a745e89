"""`mnistcli presets …`: list the presets, and make new ones."""

from pathlib import Path
from typing import Annotated

import typer

from mnistcli.cli.options import (
    AllowCodeOption,
    BudgetOption,
    JsonOption,
    PresetArgument,
    RecipeOption,
    SetOption,
    TracebackOption,
)

app = typer.Typer(no_args_is_help=True, help="List, show, copy and validate presets.")


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the bundled presets."""
    from mnistcli.cli.output import show
    from mnistcli.display.tables import presets_view
    from mnistcli.preset.loading import find_preset, list_presets, load_preset
    from mnistcli.records.presets import PresetList, PresetRow

    rows = (
        PresetRow(name=name, title=load_preset(name).title, path=str(find_preset(name)))
        for name in list_presets()
    )
    document = PresetList(presets=tuple(rows))
    show(document, presets_view(document), as_json=as_json)


@app.command("show")
def show_(preset: PresetArgument, as_json: JsonOption = False) -> None:
    """Print a preset's TOML file, or all of its fields as JSON."""
    from mnistcli.cli.output import show_preset, write_data
    from mnistcli.preset.loading import find_preset, load_preset, read_preset_text

    loaded = load_preset(preset)
    if as_json:
        show_preset(loaded)
    else:
        write_data(read_preset_text(find_preset(preset)))


@app.command()
def copy(
    preset: PresetArgument,
    destination: Annotated[
        Path, typer.Argument(metavar="FILE", help="New file, or folder to put it in.")
    ],
) -> None:
    """Copy a preset for editing; never overwrite a file."""
    from mnistcli.cli.output import write
    from mnistcli.preset.loading import copy_preset

    write(f"{copy_preset(preset, destination)}\n")


@app.command()
def new(
    destination: Annotated[
        Path, typer.Argument(metavar="FILE.toml", help="New file, beside the code or above it.")
    ],
    network: Annotated[
        str, typer.Option("--from", metavar="FILE.py:NAME", help="Network in Python code.")
    ],
    recipe: RecipeOption = None,
    overrides: SetOption = None,
    budget: BudgetOption = None,
    traceback: TracebackOption = False,
) -> None:
    """Write a preset for a network in Python code."""
    from mnistcli.cli.output import write
    from mnistcli.preset.code.reference import parse_reference
    from mnistcli.preset.networks import load_network, write_network

    parse_reference(network)
    write_network(load_network(network, overrides or (), budget, recipe=recipe), destination)
    write(f"{destination}\n")


@app.command()
def validate(
    presets: Annotated[
        list[str], typer.Argument(metavar="PRESET...", help="Names or paths of presets.")
    ],
    allow_code: AllowCodeOption = False,
) -> None:
    """Check presets and build their networks."""
    from mnistcli.cli.output import write
    from mnistcli.experiment.summary import summarize
    from mnistcli.preset.loading import load_preset

    for preset in presets:
        summary = summarize(load_preset(preset, allow_code=allow_code))
        write(f"{preset}: valid, {summary.parameters:,} parameters\n")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a preset, for editors and other tools."""
    import json

    from mnistcli.cli.output import write_data
    from mnistcli.preset.schema import Preset

    write_data(json.dumps(Preset.model_json_schema(), indent=2) + "\n")
