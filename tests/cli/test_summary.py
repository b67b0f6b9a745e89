import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from mnistcli.preset.loading import list_presets, load_preset
from mnistcli.records.documents import Summary


@pytest.mark.parametrize("name", list_presets())
def test_every_preset_has_a_summary_that_adds_up(cli: Callable, name: str) -> None:
    answer = cli("summary", name, "--json")
    found = json.loads(answer.out)
    assert answer.code == (0 if found["passed"] else 3)
    assert found["parameters"] == sum(layer["parameters"] for layer in found["layers"])
    assert found["macs"] == sum(layer["macs"] for layer in found["layers"])
    assert found["memory"]["parameters"] == 4 * found["parameters"]
    jsonschema.validate(found, Summary.model_json_schema(mode="serialization"))


@pytest.mark.parametrize(
    ("name", "claimed", "built"),
    [("journey-v2", 19_000, 99_746), ("optimizednet-published", 22_642, 421_642)],
)
def test_wrong_published_counts_are_told_and_fail(
    cli: Callable, name: str, claimed: int, built: int
) -> None:
    answer = cli("summary", name, "--json")
    assert answer.code == 3
    audits = json.loads(answer.out)["published"]
    assert {"claimed": claimed, "built": built, "verdict": "refuted"}.items() <= next(
        audit for audit in audits if audit["claimed"] == claimed
    ).items()
    text = cli("summary", name).out
    assert f" {claimed:,} " in text
    assert "refuted" in text
    assert "FAIL" in text
    assert cli("summary", name, "--no-fail").code == 0


def test_memory_is_the_sum_of_what_is_held(cli: Callable, tiny_preset: Path) -> None:
    found = json.loads(cli("summary", tiny_preset, "--json").out)
    values = [28 * 28, 8 * 49, 8 * 49, 8 * 49, 8 * 49, 8 * 49, 10]
    assert found["memory"]["forward"] == 4 * max(
        a + b for a, b in zip(values, values[1:], strict=False)
    )
    assert found["memory"]["backward"] == 4 * 2 * sum(values[1:])


@pytest.mark.parametrize("name", [name for name in list_presets() if load_preset(name).reference])
def test_a_reference_is_of_the_network_that_is_built(cli: Callable, name: str) -> None:
    summary = json.loads(cli("summary", name, "--json", "--no-fail").out)
    reference = summary["preset"]["reference"]
    assert reference["parameters"] == summary["parameters"]
    assert reference["macs"] == summary["macs"]
    assert len(set(reference["seeds"])) == len(reference["seeds"])
