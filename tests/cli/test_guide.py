import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from mnistcli.cli.guide import FOLDER, TOPICS, read_guide
from mnistcli.display.guide import guide_view
from tests.conftest import posix_only


def test_topics_are_listed_with_their_titles(cli) -> None:
    answer = cli("guide")
    assert answer.code == 0
    rows = answer.out.splitlines()[2:]
    assert [row.split()[0] for row in rows] == list(TOPICS)
    assert all(len(row.split()) > 3 for row in rows)


def test_every_page_is_a_topic() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == set(TOPICS)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_is_plain_text_of_80_columns(cli, topic: str) -> None:
    answer = cli("guide", topic)
    assert (answer.code, answer.err) == (0, "")
    assert max(map(len, answer.out.splitlines())) <= 80
    assert "\x1b" not in answer.out
    assert "<!--" not in answer.out
    title = read_guide(topic).splitlines()[0].removeprefix("# ")
    assert answer.out.startswith(f"{title}\n{'═' * len(title)}\n")


@pytest.mark.parametrize("topic", TOPICS)
def test_no_line_of_an_example_is_broken(cli, topic: str) -> None:
    shown = cli("guide", topic).out.splitlines()
    for block in re.findall(r"```\w*\n(.*?)```", read_guide(topic), re.DOTALL):
        for line in filter(None, block.splitlines()):
            assert f"    {line}" in shown


def test_without_colour_code_has_backquotes_and_pictures_are_left_out(cli) -> None:
    plain = cli("guide", "small").out
    assert "`nano-2k`" in plain
    assert "Wrong answers over parameters" in read_guide("small")
    assert "Wrong answers over parameters" not in plain


def test_with_colour_code_has_none() -> None:
    screen = Console(width=80, force_terminal=True, color_system="standard", file=StringIO())
    screen.print(guide_view(read_guide("small")))
    shown = screen.file.getvalue()
    assert "nano-2k" in shown
    assert "`" not in shown


def test_another_page_is_named_by_its_command(cli) -> None:
    assert "see [scripts](scripts.md)" in read_guide("grading")
    assert "see `mnistcli guide scripts`" in " ".join(cli("guide", "grading").out.split())


def test_an_unknown_topic_is_one_line(cli) -> None:
    answer = cli("guide", "corsets")
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err == 'mnistcli: unknown guide: "corsets". Did you mean "coresets"?\n'


@posix_only
def test_a_reader_may_leave_early(tmp_path: Path) -> None:
    command = f"'{sys.executable}' -m mnistcli guide coresets | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (read_guide("coresets").splitlines()[0][2:] + "\n", "")
