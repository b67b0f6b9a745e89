"""`mnistcli guide`: the manual's pages."""

from pathlib import Path
from typing import Annotated

import typer

from mnistcli.errors import UsageError, suggest

FOLDER = Path(__file__).parent.parent / "guides"
TOPICS = (
    "presets",
    "networks",
    "coresets",
    "curricula",
    "studies",
    "search",
    "small",
    "runs",
    "scripts",
    "grading",
    "data",
    "pictures",
    "export",
    "integers",
    "clusters",
    "reliability",
    "speed",
    "figures",
)
"""Names of the pages, in the order in which one reads them."""


def complete_topic(incomplete: str) -> list[str]:
    """Return the topics that begin with `incomplete`."""
    return [topic for topic in TOPICS if topic.startswith(incomplete)]


def guide(
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="TOPIC",
            help="Page to show; without it, the topics are listed.",
            autocompletion=complete_topic,
        ),
    ] = None,
) -> None:
    """Show a page of the manual, or list the topics."""
    from mnistcli.cli.output import show_view
    from mnistcli.display.guide import guide_view, topics_view

    if topic is None:
        show_view(topics_view({name: read_title(name) for name in TOPICS}))
    else:
        show_view(guide_view(read_guide(topic)))


def read_guide(topic: str) -> str:
    """Return the Markdown text of a page.

    Raises:
        UsageError: there is no such page.
    """
    if topic not in TOPICS:
        raise UsageError(f'unknown guide: "{topic}". {suggest(topic, list(TOPICS))}')
    return (FOLDER / f"{topic}.md").read_text(encoding="utf-8")


def read_title(topic: str) -> str:
    """Return what a page is about: its first line, without the topic's own name."""
    heading = read_guide(topic).partition("\n")[0]
    return heading.partition(": ")[2]
