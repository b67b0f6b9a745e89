"""The networks of an ensemble → a table, and what is said beside one network's layers."""

from collections.abc import Sequence

from rich.table import Table

from mnistcli.display.layout import new_table
from mnistcli.display.text import percent_or_dash, seconds
from mnistcli.preset.schema import Preset
from mnistcli.records.members import MemberRecord


def member_table(members: Sequence[MemberRecord]) -> Table:
    """Build the table of an ensemble's networks."""
    columns = ["member", "seed", "epochs", "validation", "time"]
    if all(member.validation_accuracy is None for member in members):
        columns.remove("validation")
    table = new_table(*columns, right=columns)
    for number, member in enumerate(members, start=1):
        cells = {
            "member": str(number),
            "seed": str(member.seed),
            "epochs": str(member.epochs),
            "validation": percent_or_dash(member.validation_accuracy),
            "time": seconds(member.train_seconds),
        }
        table.add_row(*(cells[name] for name in columns))
    return table


def describe_members(preset: Preset) -> str:
    """Return how the layers of an ensemble's network and its totals belong together, or ""."""
    if preset.ensemble is None:
        return ""
    return f"{preset.members} networks, each with these layers; figures are of all of them."
