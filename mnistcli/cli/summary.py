"""`mnistcli summary`: describe a network."""

from mnistcli.cli.options import (
    AllowCodeOption,
    BudgetOption,
    JsonOption,
    NetworkArgument,
    NoFailOption,
    RecipeOption,
    SetOption,
    TracebackOption,
)


def summary(
    network: NetworkArgument,
    overrides: SetOption = None,
    budget: BudgetOption = None,
    recipe: RecipeOption = None,
    allow_code: AllowCodeOption = False,
    as_json: JsonOption = False,
    no_fail: NoFailOption = False,
    traceback: TracebackOption = False,
) -> None:
    """Describe a network: layers, parameters and published claims."""
    from mnistcli.cli.output import finish, print_warnings, show
    from mnistcli.display.tables import summary_view
    from mnistcli.experiment.summary import summarize
    from mnistcli.preset.networks import load_network

    preset = load_network(network, overrides or (), budget, recipe=recipe, allow_code=allow_code)
    document = summarize(preset)
    print_warnings(document.warnings)
    show(document, summary_view(document), as_json=as_json)
    finish(document.passed, no_fail=no_fail)
