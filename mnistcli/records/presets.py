"""JSON documents of presets."""

from typing import Annotated, Literal

from pydantic import Field

from mnistcli.preset.schema import Preset
from mnistcli.records.base import Document


class PresetDocument(Document):
    """Output of `--dry-run` and `presets show --json`."""

    schema_: Annotated[Literal["mnistcli.preset/1"], Field(alias="schema")] = "mnistcli.preset/1"
    preset: Preset


class PresetRow(Document):
    """A bundled preset."""

    name: str
    title: str
    path: str


class PresetList(Document):
    """Output of `presets list`."""

    schema_: Annotated[Literal["mnistcli.presets/1"], Field(alias="schema")] = "mnistcli.presets/1"
    presets: tuple[PresetRow, ...]
