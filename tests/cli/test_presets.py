import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from mnistcli.preset.loading import find_preset, list_presets, load_preset


def test_list_names_them_all(cli: Callable) -> None:
    text = cli("presets", "list").out
    assert all(name in text for name in list_presets())
    rows = json.loads(cli("presets", "list", "--json").out)["presets"]
    assert [row["name"] for row in rows] == list_presets()


def test_show_is_the_file_itself(cli: Callable) -> None:
    assert cli("presets", "show", "sprint").out == find_preset("sprint").read_text()
    shown = json.loads(cli("presets", "show", "sprint", "--json").out)["preset"]
    assert shown == json.loads(load_preset("sprint").model_dump_json())


def test_a_copy_can_be_changed_and_validated(cli: Callable, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    assert cli("presets", "copy", "onebyone", path).out == f"{path}\n"
    assert cli("presets", "validate", path).out == f"{path}: valid, 19,114 parameters\n"
    path.write_text(path.read_text().replace("kernel_size = 1 ", "kernel_size = 3, padding = 9 "))
    assert cli("presets", "validate", path).code == 0
    path.write_text(path.read_text().replace("out_features = 10", "out_features = 11"))
    answer = cli("presets", "validate", path)
    assert answer.code == 2
    assert "11 values, not 10" in answer.err


def test_validate_takes_all_bundled_presets(cli: Callable) -> None:
    answer = cli("presets", "validate", *list_presets())
    assert answer.code == 0
    assert len(answer.out.splitlines()) == len(list_presets())


@pytest.mark.slow
def test_the_schema_accepts_what_the_tool_accepts(cli: Callable) -> None:
    schema = json.loads(cli("presets", "schema").out)
    for name in list_presets():
        preset = load_preset(name).model_dump(mode="json", exclude_unset=True)
        jsonschema.validate(preset, schema)
