import ast
import json
import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic_core import PydanticUndefined

from mnistcli.cli.guide import TOPICS
from mnistcli.preset.augmentation import Mixing, Single
from mnistcli.preset.budget import Budget
from mnistcli.preset.budget_text import parse_budget
from mnistcli.preset.layers import Layer
from mnistcli.preset.loading import list_presets, load_preset

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
GUIDES = {topic: (ROOT / "mnistcli" / "guides" / f"{topic}.md").read_text() for topic in TOPICS}
PAGES = {
    ROOT / "README.md": README,
    ROOT / "presets" / "README.md": (ROOT / "presets" / "README.md").read_text(),
    **{ROOT / "mnistcli" / "guides" / f"{topic}.md": text for topic, text in GUIDES.items()},
}
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", GUIDES["reliability"])


def test_the_readme_is_short_and_begins_with_a_picture() -> None:
    assert len(README) <= 9_000
    assert "<picture>" in README.splitlines()[:15]


@pytest.mark.parametrize("block", re.findall(r"```console\n\$ (.*?)```", README, re.DOTALL))
def test_what_a_command_shows_is_what_it_prints(cli, block: str) -> None:
    command, *wanted = block.splitlines()
    answer = cli(*command.split()[1:])
    printed = iter(answer.out.splitlines())
    assert all(line in printed for line in wanted if line != "…")  # in this order


def test_promises_name_their_tests() -> None:
    assert len(NAMED) > 10


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda part: str(part))
def test_the_test_behind_a_promise_exists(file: str, name: str) -> None:
    functions = [
        node.name
        for node in ast.parse((ROOT / file).read_text()).body
        if isinstance(node, ast.FunctionDef)
    ]
    assert functions.count(name) == 1


def test_every_preset_is_told_of() -> None:
    table = re.findall(r"^\| (`[^|]*`) \|", GUIDES["presets"], re.MULTILINE)
    told = {name for cell in table for name in re.findall(r"`([\w-]+)`", cell)}
    assert set(list_presets()) <= told


def test_the_example_of_a_preset_is_valid(tmp_path: Path) -> None:
    examples = re.findall(r"```toml\n(.*?)```", GUIDES["presets"], re.DOTALL)
    first, more, held_out, earlier, teacher, prune, ensemble, nested = examples
    decided = re.sub(r"\[train.schedule\].*", "", first, flags=re.DOTALL)
    deep = re.sub(r"\[model\].*?\n\]\n", lambda _: nested, first, flags=re.DOTALL)
    assert "repeat" in deep
    decided = decided.replace("[train]\n", held_out)
    tuned = first.replace("[train]\n", earlier)
    others = (first + each for each in (more, teacher, prune, ensemble))
    for text in (first, *others, decided, tuned, deep):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        assert load_preset(str(path)).budget.parameters_below == 5_000


def test_every_kind_of_layer_is_told_of_with_its_fields() -> None:
    section = GUIDES["presets"].partition("## Layers")[2]
    told = {
        kind: set(re.findall(r"`([^`]*)`", fields))
        for kinds, fields in re.findall(r"^\| (`[^|]*`) \| (.*)\|$", section, re.MULTILINE)
        for kind in re.findall(r"`(\w+)`", kinds)
    }
    fields = {}
    for kind in get_args(get_args(Layer)[0]):
        name, *others = kind.model_fields.items()
        fields[get_args(name[1].annotation)[0]] = {
            name if field.default in (None, PydanticUndefined)
            else f"{name} = {json.dumps(field.default)}"
            for name, field in others
        }  # fmt: skip
    assert told == fields


def test_every_augmentation_is_told_of_with_its_fields() -> None:
    section = GUIDES["presets"].partition("## Augmentation")[2].partition("## ")[0]
    rows = re.findall(r"^\| (`[^|]*`) \| (.*?) \|", section, re.MULTILINE)
    told = {
        kind: {re.sub(r" = .*", "", field) for field in re.findall(r"`([^`]*)`", fields)}
        for kinds, fields in rows
        for kind in re.findall(r"`(\w+)`", kinds)
    }
    kinds = [*get_args(Single), *get_args(Mixing)]
    fields = {get_args(each.model_fields["kind"].annotation)[0]: each for each in kinds}
    assert told == {name: {*each.model_fields} - {"kind"} for name, each in fields.items()}


def test_every_kind_of_document_is_told_of() -> None:
    """In its present version."""
    code = "".join(path.read_text() for path in (ROOT / "mnistcli" / "records").glob("*.py"))
    kinds = set(re.findall(r'^    schema_: .*?\["(mnistcli\.[\w-]+/\d)"\]', code, re.MULTILINE))
    assert len(kinds) > 10
    assert set(re.findall(r"`(mnistcli\.[\w-]+/\d)`", GUIDES["scripts"])) == kinds


def test_every_limit_of_a_budget_is_told_of() -> None:
    table = re.findall(r"^\| `(\w+)(<=?|>=)(\S+)` \|.*\| (.*) \|$", GUIDES["scripts"], re.MULTILINE)
    told = {field for row in table for field in re.findall(r"`(\w+)`", row[3])}
    assert told == set(Budget.model_fields)
    for name, comparison, value, fields in table:
        (limit,) = parse_budget(f"{name}{comparison}{value}").model_dump(exclude_none=True)
        assert f"`{limit}`" in fields


def test_links_lead_to_files() -> None:
    link = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
    targets = [
        page.parent / target.partition("#")[0]
        for page, text in PAGES.items()
        for target in map("".join, link.findall(text))
        if not target.startswith(("https://", "#"))
    ]
    assert len(targets) > 10, "no links were found"
    assert not [target for target in targets if not target.exists()]
