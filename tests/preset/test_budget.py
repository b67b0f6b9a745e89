import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistcli.errors import PresetError
from mnistcli.preset.budget import RULES, Budget
from mnistcli.preset.budget_text import NAMES, format_budget, parse_budget
from mnistcli.preset.loading import load_preset
from mnistcli.preset.schema import Preset
from mnistcli.preset.values import LIMIT

KINDS = {
    name: json.dumps(schema) for name, schema in Budget.model_json_schema()["properties"].items()
}


def values_of(field: str) -> st.SearchStrategy:
    if "integer" in KINDS[field]:
        return st.integers(0, LIMIT)
    if "seconds" in field:
        return st.floats(0, 1e9, exclude_min=True)
    return st.floats(0, 1)


@st.composite
def budgets(draw: st.DrawFn) -> Budget:
    """Any budget that a preset may have, with at least one limit."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    rules = [draw(st.sampled_from([rule for rule in RULES if rule.name == name])) for name in names]
    return Budget.model_validate({rule.field: draw(values_of(rule.field)) for rule in rules})


@given(budgets())
def test_a_budget_as_text_is_read_as_itself(budget: Budget) -> None:
    text = format_budget(budget)
    assert parse_budget(text) == budget
    assert parse_budget(text.upper().replace("<=", " ≤ ").replace(">=", " ≥ ")) == budget
    assert parse_budget(" , ".join(reversed(text.split(", ")))) == budget


@given(st.text() | st.text("parmetscuydoi<>=≤%,. 0129_kM"))
def test_any_text_is_a_budget_or_an_error_at_one_of_its_characters(text: str) -> None:
    try:
        budget = parse_budget(text)
    except PresetError as error:
        before, _, after = str(error).rpartition(" at character ")
        assert before.startswith('invalid --budget "')
        place, _, reason = after.partition(": ")
        assert 1 <= int(place) <= len(text) + 1
        assert reason.endswith((".", "?"))
    else:
        assert parse_budget(format_budget(budget)) == budget


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("parameters<20000", {"parameters_below": 20_000}),
        ("parameters<=20_000", {"max_parameters": 20_000}),
        ("parameters < 19.5k", {"parameters_below": 19_500}),
        ("macs<=1.5M", {"max_macs": 1_500_000}),
        ("macs<400000", {"macs_below": 400_000}),
        ("flash<16384", {"flash_below": 16_384}),
        ("flash<=16KiB, ram<=4 KiB", {"max_flash": 16_384, "max_ram": 4_096}),
        ("ram<1.5kib", {"ram_below": 1_536}),
        ("flash≤1MiB, ram<2048B", {"max_flash": 1_048_576, "ram_below": 2_048}),
        ("accuracy>=99.4", {"min_test_accuracy": 0.994}),
        ("accuracy >= 99.4 %", {"min_test_accuracy": 0.994}),
        ("accuracy≥99.45%", {"min_test_accuracy": 0.9945}),
        ("Accuracy>=100", {"min_test_accuracy": 1.0}),
        ("epochs<20", {"epochs_below": 20}),
        ("epochs≤19", {"max_epochs": 19}),
        ("seconds<60", {"train_seconds_below": 60.0}),
        ("seconds<=.5", {"max_train_seconds": 0.5}),
        ("data<=20%", {"max_train_fraction": 0.2}),
        ("data<20 %", {"train_fraction_below": 0.2}),
        ("data<=12000", {"max_train_examples": 12_000}),
        ("data<12k", {"train_examples_below": 12_000}),
        (
            " parameters<20000 ,accuracy>=99.4,\nepochs<20",
            {"parameters_below": 20_000, "min_test_accuracy": 0.994, "epochs_below": 20},
        ),
    ],
)  # fmt: skip
def test_limits_are_read(text: str, limits: dict) -> None:
    assert parse_budget(text) == Budget(**limits)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", 1, 'it has no limits. Write, for example, "parameters<20000'),
        ("  ", 1, "it has no limits"),
        (",", 1, f'expected a figure ({", ".join(NAMES)}), found'),
        ("5<parameters", 1, 'found "5<parameters"'),
        ("parameters<2, acuracy>=99.4", 15, 'unknown figure "acuracy". Did you mean "accuracy"?'),
        ("params<5", 1, 'Did you mean "parameters"?'),
        ("bytes<5", 1, "Choose from parameters, macs,"),
        ("parameters", 11, "a shell reads < itself"),
        ("parameters 5", 12, 'expected < or <= after parameters, found "5"'),
        ("parameters>=5", 11, "expected < or <= after parameters"),
        ("parameters=<5", 11, "expected < or <= after parameters"),
        ("accuracy<99", 9, "expected >= after accuracy"),
        ("accuracy>99", 9, "expected >= after accuracy"),
        ("parameters<", 12, "expected a number, found the end"),
        ("parameters<-5", 12, 'expected a number, found "-5"'),
        ("parameters<many", 12, 'expected a number, found "many"'),
        ("parameters<nan", 12, "expected a number"),
        ("parameters<20,000", 15, "a comma separates limits. Write 20000."),
        ("epochs<5, parameters<1,500", 24, "Write 1500."),
        ("accuracy>=99,4", 14, "a comma separates limits. Write 99.4."),
        ("parameters<20000,", 18, "expected a figure"),
        ("parameters<20000 epochs<5", 18, 'expected a comma or the end, found "epochs<5"'),
        ("parameters<20000; epochs<5", 17, "expected a comma"),
        ("parameters<20.000", 12, "parameters takes a whole number: got 20.000."),
        ("parameters<1.2345k", 12, "parameters takes a whole number: got 1234.5."),
        ("epochs<1.5", 8, "epochs takes a whole number"),
        ("parameters<20%", 12, 'the unit "%" cannot be used with parameters'),
        ("flash<16kB", 7, "flash is in bytes. Write B, KiB (1,024 bytes) or MiB for kB."),
        ("ram<=2k", 6, "ram is in bytes. Write B, KiB"),
        ("ram<0.3KiB", 5, "ram takes a whole number: got 307.2."),
        ("flash>=1KiB", 6, "expected < or <= after flash"),
        ("macs<16KiB", 6, 'the unit "KiB" cannot be used with macs'),
        ("seconds<10min", 9, 'the unit "min" cannot be used with seconds'),
        ("accuracy>=0.994", 11, "accuracy is in per cent. Write accuracy>=99.4 for 0.994."),
        ("accuracy>=1", 11, "Write accuracy>=100 for 1."),
        ("accuracy>=0.005", 11, "Write accuracy>=0.5% for 0.005."),
        ("accuracy>=101", 11, "accuracy can be at most 100 %."),
        ("data<=101%", 7, "data can be at most 100 %."),
        ("data<=0.2", 7, "Write data<=20% for 0.2."),
        ("data<=20%, data<5", 12, "data is limited twice"),
        ("epochs<5,\tepochs<=5", 11, "epochs is limited twice"),
        ("seconds<0", 9, "seconds must be above 0 and at most 1,000,000,000."),
        ("seconds<1000000001", 9, "at most 1,000,000,000"),
        (f"parameters<{'9' * 9_000}", 12, "at most 1,000,000,000,000,000."),
    ],
)  # fmt: skip
def test_an_error_points_at_a_character(text: str, place: int, words: str) -> None:
    with pytest.raises(PresetError) as caught:
        parse_budget(text)
    message = str(caught.value)
    assert message.startswith(f'invalid --budget "{text[:80]}')
    assert f" at character {place}: " in message
    assert words in message
    assert len(message) < 250


def test_of_a_long_text_an_error_shows_what_is_near() -> None:
    text = f"parameters<{'0' * 200}5, acuracy>=99, seconds<{'9' * 200}"
    with pytest.raises(PresetError) as caught:
        parse_budget(text)
    quoted = f"…{'0' * 37}5, acuracy>=99, seconds<{'9' * 19}…"
    assert str(caught.value).startswith(f'invalid --budget "{quoted}" at character 215: unknown')


def test_the_advice_in_an_error_is_right() -> None:
    for wrong, right in (("accuracy>=0.994", 0.994), ("accuracy>=1", 1.0), ("accuracy>=0", 0.0)):
        with pytest.raises(PresetError) as caught:
            parse_budget(wrong)
        advice = str(caught.value).partition("Write ")[2].partition(" for ")[0]
        assert parse_budget(advice).min_test_accuracy == right


@given(budgets())
def test_text_and_toml_say_the_same(budget: Budget) -> None:
    text = format_budget(budget)
    assert load_preset("sprint", budget=text).budget == budget


def test_it_replaces_the_whole_budget_and_nothing_else() -> None:
    before, after = load_preset("onebyone"), load_preset("onebyone", budget="macs<1M")
    assert after.budget == Budget(macs_below=1_000_000)
    assert after.published == before.published is not None
    assert after == before.model_copy(update={"budget": after.budget})


def test_overrides_apply_after_it() -> None:
    preset = load_preset("sprint", ["budget.max_epochs=5"], "parameters<20000")
    assert preset.budget == Budget(parameters_below=20_000, max_epochs=5)
    with pytest.raises(PresetError, match="invalid --set: budget: parameters_below cannot be"):
        load_preset("sprint", ["budget.max_parameters=5"], "parameters<20000")


@pytest.mark.parametrize("other", ["max_train_fraction = 0.2", "train_examples_below = 5"])
def test_the_data_are_limited_once(tmp_path: Path, tiny_preset: Path, other: str) -> None:
    path = tmp_path / "two.toml"
    limits = f"max_train_examples = 5\n{other}\n[model]"
    path.write_text(tiny_preset.read_text().replace("[model]", limits))
    with pytest.raises(PresetError, match="cannot be combined with"):
        load_preset(str(path))


def test_every_field_has_a_rule_and_a_name() -> None:
    assert {rule.field for rule in RULES} == set(Budget.model_fields)
    assert len({(rule.figure, rule.comparison) for rule in RULES}) == len(RULES)
    assert format_budget(Budget()) == ""
    assert NAMES == "parameters macs flash ram accuracy epochs seconds data".split()
    assert Preset.model_fields["budget"].annotation is Budget
