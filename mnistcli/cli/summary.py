"""`mnistcli summary`: describe a preset's network."""

from mnistcli.cli.options import BudgetOption, JsonOption, NoFailOption, PresetArgument, SetOption


def summary(
    preset: PresetArgument,
    overrides: SetOption = None,
    budget: BudgetOption = None,
    as_json: JsonOption = False,
    no_fail: NoFailOption = False,
) -> None:
    """Describe a network: layers, parameters and published claims."""
    from mnistcli.cli.output import finish, show
    from mnistcli.display.tables import summary_view
    from mnistcli.experiment.summary import summarize
    from mnistcli.preset.loading import load_preset

    document = summarize(load_preset(preset, overrides or (), budget))
    show(document, summary_view(document), as_json=as_json)
    finish(document.passed, no_fail=no_fail)
