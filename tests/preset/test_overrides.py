import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistcli.errors import PresetError
from mnistcli.preset.loading import load_preset
from mnistcli.preset.schema import Preset

NUMBERS = st.floats(1e-6, 1, exclude_min=True)


def fault(*overrides: str, preset: str = "sprint-coreset") -> str:
    with pytest.raises(PresetError) as raised:
        load_preset(preset, overrides)
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), ("07", 7), ("7.0", 7), ("7.", 7), ("7e0", 7), ("'7'", 7), ('"07"', 7), (" 7\t", 7),
     ("+7", 7), ("0x7", 7), ("1_000", 1_000), ("1E3", 1_000)],
)  # fmt: skip
def test_an_integer_is_read_however_it_is_written(text: str, value: int) -> None:
    assert load_preset("onebyone", [f"train.epochs={text}"]).train.epochs == value


@pytest.mark.parametrize(
    ("text", "value"),
    [(".25", 0.25), ("1.", 1), ("1", 1), ("2e-1", 0.2), ("2E-1", 0.2), ("25%", 0.25),
     ("0.5 %", 0.005), ("98.7%", 0.987), ("+.5", 0.5)],
)  # fmt: skip
def test_a_number_is_read_however_it_is_written(text: str, value: float) -> None:
    budget = load_preset("onebyone", [f"budget.min_test_accuracy={text}"]).budget
    assert budget.min_test_accuracy == value


@pytest.mark.parametrize("text", ["true", "True", "TRUE", "yes", "on", "1", "y", '"true"'])
def test_true_is_read_however_it_is_written(text: str) -> None:
    assert load_preset("onebyone", [f"train.drop_last={text}"]).train.drop_last is True
    opposite = {"true": "false", "yes": "no", "on": "off", "1": "0", "y": "n"}
    for one, other in opposite.items():
        if text.lower() == one:
            preset = load_preset("onebyone", ["train.drop_last=true", f"train.drop_last={other}"])
            assert preset.train.drop_last is False


@pytest.mark.parametrize("text", [
    "1999", "0.10", "true", "[1]", "12:30", "007", "a # b", "a = b", "2026-01-02T03:04:05Z",
])  # fmt: skip
def test_a_text_needs_no_quotes(text: str) -> None:
    assert load_preset("onebyone", [f"title={text}"]).title == text


def test_json_is_read_as_well() -> None:
    preset = load_preset("sprint", ['coreset={"size": 90, "selector": {"kind": "entropy"}}'])
    assert preset.coreset is not None
    assert (preset.coreset.size, preset.coreset.selector.kind) == (90, "entropy")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.epochs=three", "train.epochs: input should be a valid integer, got 'three'. "
         "Use an integer, as in train.epochs=5."),
        ("train.epochs=2.5", "Use an integer"),
        ("train.epochs=true", "Use an integer"),
        ("train.clip_gradient_norm=0,5", "Use a number with a decimal point"),
        ("train.clip_gradient_norm=false", "Use a number with a decimal point"),
        ("train.drop_last=maybe", "Use train.drop_last=true or train.drop_last=false."),
        ("train.drop_last=2", "Use train.drop_last=true or train.drop_last=false."),
        ("train.optimizer.betas=0.9 0.99", "Use a list, as in 'train.optimizer.betas=[…]'"),
        ("train.schedule=cosine", "Use a table, as in 'train.schedule={kind=\"cosine\"}'"),
        ("train.early_stopping=5", "Use a table, as in 'train.early_stopping={…}'"),
        ("teacher.runs=[]", "name either runs or a preset"),
        ("coreset.selector={kind=entropy}", 'with "" around text'),
        ("coreset.selector={}", 'coreset.selector: "kind" is required'),
        ("budget.min_test_accuracy=98.5", "got 98.5. Use 0.985 for 98.5 %."),
        ("title=", '"title=" has no value. Use none to remove the field, or "" for an empty text.'),
        ("coreset=  ", "has no value. Use none"),
        ("~coreset", '"a.b=none" to remove a field'),
        ("train.epoch=3", 'Did you mean "epochs"?'),
        ("train.epochs.x=3", "train.epochs is a single value"),
        ("augment.4.kind=affine", "augment.4 needs an index from 0 to 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_with_its_spelling(override: str, words: str) -> None:
    preset = "onebyone" if "betas" in override else "sprint-coreset"
    found = fault(override, preset=preset)
    assert found.startswith("invalid --set: ")
    assert words in found


def test_a_fault_of_the_file_is_not_one_of_set() -> None:
    assert fault("coreset.balance=free", preset="sprint").startswith('invalid preset "sprint": ')


@pytest.mark.parametrize("word", ["none", "None", "NONE", "null"])
def test_none_removes_an_optional_field_or_section(word: str) -> None:
    preset = load_preset("sprint-coreset", [f"coreset={word}", f"budget.min_test_accuracy={word}"])
    assert preset.coreset is None
    assert preset.budget.min_test_accuracy is None
    assert preset.budget.parameters_below is not None


def test_none_restores_a_default() -> None:
    changes = [f"{name}=none" for name in ("budget", "train.schedule", "normalization.std", "name")]
    preset = load_preset("sprint-coreset", changes)
    assert preset.budget == type(preset.budget)()
    assert preset.train.schedule.kind == "constant"
    assert preset.normalization.std == 0.3081
    assert preset.name == "sprint-coreset"


def test_none_removes_an_item_of_a_list() -> None:
    layers = load_preset("sprint").model.layers
    changed = load_preset("sprint", ["augment.0=none", f"model.layers.{len(layers) - 1}=none"])
    assert changed.augment == ()
    assert changed.model.layers == layers[:-1]


def test_what_was_removed_can_be_set_again() -> None:
    preset = load_preset("sprint-coreset", ["coreset=none", "coreset.size=70"])
    assert preset.coreset is not None
    assert preset.coreset.size == 70


@pytest.mark.parametrize("name", ["title", "train", "train.epochs", "coreset.size"])
def test_none_does_not_remove_what_is_required(name: str) -> None:
    words = f"invalid --set: {name}: required, but missing. It cannot be removed."
    assert fault(f"{name}=none") == words


def test_none_does_not_hide_a_wrong_name() -> None:
    assert 'Did you mean "coreset"?' in fault("corset=none")


def test_in_quotes_none_is_a_text() -> None:
    assert load_preset("sprint", ['title="none"']).title == "none"


@settings(deadline=None)
@given(st.integers(1, 100_000), st.sampled_from(["{}", "{}.0", "{}.", "0{}", "'{}'", "{}e0"]))
def test_every_spelling_of_an_integer_is_the_same_preset(number: int, spelling: str) -> None:
    def load(text: str) -> Preset:
        return load_preset("sprint", [f"train.epochs={text}"])

    assert load(spelling.format(number)) == load(str(number))


@settings(deadline=None)
@given(NUMBERS, st.sampled_from(["{}", '"{}"', "+{}"]))
def test_every_spelling_of_a_number_is_the_same_preset(number: float, spelling: str) -> None:
    def load(text: str) -> Preset:
        return load_preset("sprint", [f"budget.min_test_accuracy={text}"])

    assert load(spelling.format(number)) == load(repr(number))
    assert load(f"{100 * number!r}%").budget.min_test_accuracy == pytest.approx(number)


def test_set_reaches_layers_in_layers() -> None:
    block = "model.layers.1={kind='repeat', times=2, layers=[{kind='relu'}, {kind='max_pool'}]}"
    changes = [block, "model.layers.1.times=3", "model.layers.1.layers.1.kernel_size=4"]
    repeat = load_preset("sprint", changes).model.layers[1]
    assert (repeat.times, repeat.layers[1].kernel_size) == (3, 4)
    with pytest.raises(PresetError, match=r"model\.layers\.1\.layers\.1\.kernel_size.*got 0"):
        load_preset("sprint", [*changes, "model.layers.1.layers.1.kernel_size=0"])


@pytest.mark.parametrize(
    ("override", "table"),
    [
        ("train.schedule.kind=plateau", 'train.schedule={kind="plateau"}'),
        ('train.optimizer.kind="adamw"', 'train.optimizer={kind="adamw"}'),
        ("augment.0.kind=elastic", 'augment.0={kind="elastic"}'),
    ],
)
def test_another_kind_replaces_the_whole_table(override: str, table: str) -> None:
    assert fault(override).endswith(f"Replace the whole table, as in '{table}'.")
    assert fault(override).startswith("invalid --set: ")
    unknown = fault("train.schedule.kind=waves")
    assert unknown.startswith('invalid --set: train.schedule: unknown kind: "waves". ')
    assert "whole table" not in unknown
