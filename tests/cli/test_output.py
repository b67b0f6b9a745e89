import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.text import Text

from mnistcli.cli.output import show
from mnistcli.display.layout import new_table
from mnistcli.records.presets import PresetList

DOCUMENT = PresetList(presets=())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_no_text_commands_the_terminal(capsys: pytest.CaptureFixture, text: str) -> None:
    table = new_table("one", text, right=())
    table.add_row(Text(text), Text(text, style="red"))
    for view in (Text(text), table):
        show(DOCUMENT, view, as_json=False)
        out = capsys.readouterr().out
        assert all(c == "\n" or c.isprintable() for c in out), ascii(out)


def test_colours_are_left_where_there_is_a_terminal(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    show(DOCUMENT, Text("bad \x1b[2J\x1b]0;owned\x07 and good", style="red"), as_json=False)
    out = capsys.readouterr().out
    assert re.sub(r"\x1b\[\d*m", "", out) == "bad [2J]0;owned and good\n"
    assert "\x1b[31m" in out
