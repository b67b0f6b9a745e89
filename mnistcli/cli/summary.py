"""`mnistcli summary`: describe a network."""

from mnistcli.cli.ci import FormatOption, check_format
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
    form: FormatOption = "table",
    no_fail: NoFailOption = False,
    traceback: TracebackOption = False,
) -> None:
    """Describe a network: layers, parameters and published claims."""
    from mnistcli.cli.output import finish, print_warnings, show
    from mnistcli.display.markdown import summary_as_markdown
    from mnistcli.display.tables import summary_view
    from mnistcli.experiment.summary import summarize
    from mnistcli.preset.networks import load_network

    check_format(form, as_json=as_json)
    preset = load_network(network, overrides or (), budget, recipe=recipe, allow_code=allow_code)
    document = summarize(preset)
    print_warnings(document.warnings)
    markdown = summary_as_markdown(document) if form == "markdown" else None
    show(document, summary_view(document), as_json=as_json, markdown=markdown)
    finish(document.passed, no_fail=no_fail)
