"""The kept folders of mnistcli 0.1 in v1/ stay readable; v1/documents has kinds still at /1."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mnistcli.records import (
    checks,
    comparisons,
    contents,
    documents,
    evaluations,
    exports,
    grades,
    listings,
    presets,
    reports,
    searches,
    states,
    studies,
)
from mnistcli.records.base import Document
from mnistcli.records.store import read_document, read_record

KINDS = (
    checks, comparisons, contents, documents, evaluations, exports, grades, listings, presets,
    reports, searches, states, studies,
)  # fmt: skip
V1 = Path(__file__).parent / "v1"
FINISHED = sorted(path.name for path in (V1 / "finished").iterdir())


@pytest.fixture
def v1(tmp_path: Path) -> Path:
    return Path(shutil.copytree(V1, tmp_path / "v1"))


def kinds() -> Iterator[tuple[str, type[Document]]]:
    for module in KINDS:
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, Document):
                if field := kind.model_fields.get("schema_"):
                    yield field.default, kind


@pytest.mark.parametrize("path", sorted((V1 / "documents").iterdir()), ids=lambda path: path.stem)
def test_documents_still_at_version_1_are_as_they_were(path: Path) -> None:
    content = json.loads(path.read_text())
    found = read_document(path, dict(kinds())[content["schema"]], "it")
    # Fields that were added since are optional, and unset.
    assert json.loads(found.model_dump_json(exclude_unset=True)) == content


def test_every_kind_at_version_1_is_kept() -> None:
    kept = {json.loads(path.read_text())["schema"] for path in (V1 / "documents").iterdir()}
    assert kept == {schema for schema, _ in kinds() if schema.endswith("/1")}


@pytest.mark.parametrize("name", FINISHED)
def test_a_run_record_keeps_every_value(name: str) -> None:
    before = json.loads((V1 / "finished" / name / "record.json").read_text())
    # Fields that were added since are optional, and unset.
    after = json.loads(read_record(V1 / "finished" / name).model_dump_json(exclude_unset=True))
    assert after.pop("schema") == "mnistcli.run/2"
    assert before.pop("schema") == "mnistcli.run/1"
    assert after.pop("phases_evaluated_on") == before.pop("phases_judged_on")
    assert after["data"].pop("folder") == before["data"]["source"]
    if before["profile"]:
        assert after["profile"].pop("fraction_of_ceiling") == before["profile"].pop(
            "share_of_ceiling"
        )
    assert after == before


@pytest.mark.slow
@pytest.mark.parametrize("name", FINISHED)
def test_a_run_is_evaluated_reported_and_shown(
    cli: Callable, v1: Path, name: str, tiny_data: Path
) -> None:
    run = v1 / "finished" / name
    answer = cli("evaluate", run, "--data", tiny_data, "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["matches_record"] is True
    answer = cli("report", run, "--data", tiny_data)
    assert answer.code == 0, answer.err
    assert (run / "report.html").stat().st_size > 50_000
    assert cli("report", run, "--csv").out.count("\n") >= 3
    answer = cli("runs", "check", run, "--data", tiny_data)
    assert answer.code == 0, answer.out
    assert cli("runs", "show", run).code == cli("runs", "list", run.parent).code == 0
    assert cli("train", "--resume", run, "--json").code == 0


def test_runs_are_compared(cli: Callable, v1: Path) -> None:
    answer = cli("compare", v1 / "finished", "--json")
    assert answer.code == 0, answer.err
    groups = json.loads(answer.out)["groups"]
    assert sorted(len(group["runs"]) for group in groups) == [1, 2]
    assert len(json.loads(cli("compare", "--journal", v1 / "finished", "--json").out)["entries"])


def test_a_run_is_trained_again_from_its_record(
    cli: Callable, v1: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(tiny_data, tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    run = v1 / "finished" / "tiny-s0"
    answer = cli("train", "--from", run, "--out", tmp_path / "runs", "--json", "-q")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["repeats"]["run_id"] == read_record(run).run_id


def test_an_unfinished_run_is_one_line(cli: Callable, v1: Path) -> None:
    folder = v1 / "unfinished"
    answer = cli("train", "--resume", folder)
    assert answer.code == 4
    assert answer.err == (
        f'mnistcli: cannot resume "{folder}": it was started by mnistcli 0.1. Train it again with '
        "`mnistcli train`.\n"
    )


@pytest.mark.parametrize(
    "content",
    [
        '"mnistcli.run/1"',
        '{"title": "mnistcli.run/1"}',
        '{"schema": "mnistcli.run/1", "profile": 1, "data": [], "x": NaN}',
        '{"schema": "mnistcli.run/1"' + "[" * 9_999,
        '{"schema": "mnistcli.run/1", "seed": ' + "9" * 5_000 + "}",
    ],
)
def test_a_damaged_record_of_version_1_is_one_line(cli: Callable, v1: Path, content: str) -> None:
    run = v1 / "finished" / "tiny-s0"
    (run / "record.json").write_text(content)
    answer = cli("evaluate", run)
    assert answer.code == 4
    assert answer.err.count("\n") == 1
