import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from mnistcli.errors import PresetError
from mnistcli.preset.loading import list_presets, load_preset, read_preset
from mnistcli.preset.ranges import Choices, Decision, Numbers, Range, list_types
from mnistcli.preset.schema import Preset
from mnistcli.preset.space import Space, load_space, make_space

LAYER = '{ kind = "conv", out_channels = 4, kernel_size = 3 }'
SPACE = """
title = "A space"
[model]
layers = [{layers}, {{ kind = "global_max_pool" }}, {{ kind = "linear", out_features = 10 }}]
[train]
epochs = 2
batch_size = 64
optimizer = {{ kind = "adamw", learning_rate = 0.01 }}
"""

CONTENT: dict[str, Any] = {
    "title": "A space",
    "name": "own",
    "budget": {"max_parameters": 1000},
    "model": {
        "width": {"low": 0.5, "high": 2.0, "log": True},
        "layers": [
            [{"kind": "conv", "out_channels": [4, 8], "kernel_size": 3}, "none"],
            {"kind": "repeat", "times": {"low": 1, "high": 2}, "layers": [{"kind": "relu"}]},
            {"kind": "flatten"},
            {"kind": "linear", "out_features": 10},
        ],
    },
    "train": {
        "epochs": 1,
        "batch_size": {"choices": [32, 64]},
        "optimizer": {"kind": ["adam", "adamw"], "learning_rate": 0.01},
    },
}


def write(folder: Path, layers: str = LAYER, more: str = "") -> Path:
    path = folder / "wide.toml"
    path.write_text(SPACE.format(layers=layers) + more)
    return path


def first(path: str, range_: Range) -> Decision:
    return range_.ends[0]


def choosing(**decisions: Decision) -> Callable[[str, Range], Decision]:
    """Return what decides as given, by paths with _ for the dots, and otherwise for the first."""
    return lambda path, range_: decisions.get(path.replace(".", "_"), range_.ends[0])


def test_ranges_are_decided_in_the_order_of_the_file(tmp_path: Path) -> None:
    conv = '{ kind = "conv", out_channels = [4, 6], kernel_size = { low = 2, high = 5 } }'
    space = load_space(write(tmp_path, conv))
    decisions, preset = space.resolve(choosing(model_layers_0_out_channels=1))
    assert [*decisions.items()] == [
        ("model.layers.0.out_channels", 1),
        ("model.layers.0.kernel_size", 2),
    ]
    layer = preset.model.layers[0]  # type: ignore[index]
    assert (layer.out_channels, layer.kernel_size) == (6, 2)  # type: ignore[union-attr]
    assert (space.name, preset.name, preset.title) == ("wide", "wide", "A space")


def test_only_the_ranges_of_the_chosen_alternative_are_active(tmp_path: Path) -> None:
    one = '{ kind = "conv", out_channels = [4, 6], kernel_size = 3 }'
    other = (
        '{ kind = "separable_conv", out_channels = { low = 4, high = 9 }, kernel_size = [3, 5] }'
    )
    space = load_space(write(tmp_path, f'[{one}, {other}, "none"]'))
    paths = [[*space.resolve(choosing(model_layers_0=index))[0]] for index in range(3)]
    at = "model.layers.0"
    assert paths == [
        [at, f"{at}.0.out_channels"],
        [at, f"{at}.1.out_channels", f"{at}.1.kernel_size"],
        [at],
    ]
    removed = space.resolve(choosing(model_layers_0=2))[1]
    assert [layer.kind for layer in removed.model.layers or ()] == ["global_max_pool", "linear"]


def test_none_removes_a_field(tmp_path: Path) -> None:
    more = 'clip_gradient_norm = ["none", 1.0]\n'
    path = write(tmp_path)
    path.write_text(path.read_text().replace("epochs = 2\n", f"epochs = 2\n{more}"))
    space = load_space(path)
    assert space.resolve(first)[1].train.clip_gradient_norm is None
    assert space.resolve(choosing(train_clip_gradient_norm=1))[1].train.clip_gradient_norm == 1.0


def test_a_field_that_is_a_list_needs_choices(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(
        path.read_text().replace(
            "0.01 }", "0.01, betas = { choices = [[0.9, 0.99], [0.7, 0.9]] } }"
        )
        + "[[augment]]\nkind = 'affine'\nscale = [0.9, [1.1, 1.2]]\n"
    )
    decisions, preset = load_space(path).resolve(choosing(train_optimizer_betas=1))
    assert decisions == {"train.optimizer.betas": 1, "augment.0.scale.1": 0}
    assert preset.train.optimizer.betas == (0.7, 0.9)  # type: ignore[union-attr]


def test_both_spellings_of_a_choice_are_the_same(tmp_path: Path) -> None:
    listed = load_space(write(tmp_path, f'[{LAYER}, "none"]')).resolve(first)
    told = load_space(write(tmp_path, f'{{ choices = [{LAYER}, "none"] }}')).resolve(first)
    assert listed == told


CONV = '{{ kind = "conv", out_channels = {}, kernel_size = 3 }}'


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        (LAYER, "it has no range. Write one, as in out_channels = [4, 6, 8]."),
        (CONV.format("[8]"), "it has no range. Write one, as in out_channels = [4, 6, 8]."),
        (
            CONV.format("[]"),
            "model.layers.0.out_channels: there is nothing to choose from. Add an alternative.",
        ),
        (
            CONV.format("{ low = 8, high = 4 }"),
            "model.layers.0.out_channels: low is 8, more than high, 4. Swap them.",
        ),
        (
            CONV.format("{ low = 0, high = 4, log = true }"),
            "model.layers.0.out_channels: low is 0, which has no logarithm. Use one above 0.",
        ),
        (
            CONV.format("{ low = 4 }"),
            "model.layers.0.out_channels.high: required, but missing",
        ),
        (
            CONV.format("{ low = 4, high = 8, step = 2 }"),
            "model.layers.0.out_channels.step: unknown key. Choose from low, high, log.",
        ),
        (
            CONV.format('{ low = 4, high = "8" }'),
            "model.layers.0.out_channels.high: must be a number, got '8'",
        ),
        (
            CONV.format("{ low = 4, high = inf }"),
            "model.layers.0.out_channels.high: must be a number, got inf",
        ),
        (
            CONV.format("{ low = 4, high = 1e300 }"),
            "model.layers.0.out_channels.high: must be from -1e+15 to 1e+15, got 1e+300",
        ),
        (
            CONV.format(f"{{ low = 4, high = 1{'0' * 400} }}"),
            "model.layers.0.out_channels.high: must be from -1e+15 to 1e+15, got a larger number",
        ),
        (
            CONV.format("{ choices = 4 }"),
            "model.layers.0.out_channels: choices must be a list, and the only key of its table",
        ),
        (
            CONV.format("[4, 0]"),
            "model.layers.0.out_channels: input should be greater than or equal to 1, got 0",
        ),
        (
            CONV.format("{ low = 4, high = 70_000 }"),
            "model.layers.0.out_channels: input should be less than or equal to 65536, got 70000",
        ),
        (
            CONV.format("{ low = 4, high = 8.0 }"),
            "model.layers.0.out_channels: input should be a valid integer, got 4.0",
        ),
        (
            f'["none", {LAYER}], {CONV.format("[4, 0]")}',
            "model.layers.1.out_channels: input should be greater than or equal to 1, got 0",
        ),
        (
            f'["none", {LAYER}, {{ kind = "conv", out_chanels = 4, kernel_size = 3 }}]',
            "model.layers.0.2.out_channels: required, but missing (and 1 more)",
        ),
        (
            f'["none", {{ kind = "repeat", times = 2, layers = [["none", {LAYER}], '
            '{ kind = "conv", out_channels = [4, 8, -8], kernel_size = 3 }] }]',
            "model.layers.0.1.layers.1.out_channels: input should be greater than or equal to 1, "
            "got -8 (and 1 more)",
        ),
        (
            f'["none", {LAYER}, {{ kind = "cnv" }}]',
            'model.layers.0.2: unknown kind: "cnv". Did you mean "conv"?',
        ),
        (
            '["none", {kind = "conv", kernel_size = 3, out_channels = { low = 9, high = 2 }}]',
            "model.layers.0.1.out_channels: low is 9, more than high, 2. Swap them.",
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_the_place_in_the_file(
    tmp_path: Path, layers: str, reason: str
) -> None:
    path = write(tmp_path, layers)
    with pytest.raises(PresetError) as caught:
        load_space(path)
    assert str(caught.value) == f'invalid space "{path}": {reason}'


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ('name = ["a", "b"]', "name"),
        ('source = ["a", "b"]', "source"),
        ("budget = { max_parameters = [1, 2] }", "budget.max_parameters"),
        ("budget = { max_parameters = { low = 1, high = 2 } }", "budget.max_parameters"),
    ],
)
def test_what_networks_have_in_common_has_no_range(tmp_path: Path, field: str, place: str) -> None:
    path = write(tmp_path, CONV.format("[4, 8]"))
    path.write_text(f"{field}\n{path.read_text()}")
    with pytest.raises(PresetError) as caught:
        load_space(path)
    reason = "all networks of a space have the same. Give one value."
    assert str(caught.value) == f'invalid space "{path}": {place}: {reason}'


@pytest.mark.parametrize("key", ["choices", "low"])
def test_a_space_itself_is_no_range(key: str) -> None:
    with pytest.raises(PresetError, match=f'^invalid space "own": {key}: unknown key'):
        make_space({**CONTENT, key: [1, 2]}, Path(), "own")


def test_a_deeply_nested_space_is_refused() -> None:
    nested: Any = {"kind": "relu"}
    for _ in range(3_000):
        nested = [nested]
    content = {"title": "Deep", "model": {"layers": [nested]}}
    with pytest.raises(PresetError, match="nested too deeply"):
        make_space(content, Path(), "deep")


def test_whole_sections_may_be_alternatives(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(
        path.read_text().replace("[train]", "[[train]]")
        + "[[train]]\nepochs = [3, 4]\nbatch_size = 32\n"
        'optimizer = { kind = "sgd", learning_rate = 0.1 }\n'
    )
    space = load_space(path)
    assert space.resolve(first)[0] == {"train": 0}
    decisions, preset = space.resolve(choosing(train=1, train_1_epochs=1))
    assert decisions == {"train": 1, "train.1.epochs": 1}
    assert preset.train.epochs == 4


places = st.lists(st.integers(0, 9), max_size=7)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
ranges = st.dictionaries(st.sampled_from(["low", "high", "log", "choices"]), scalars, max_size=4)
values = st.recursive(
    scalars | ranges | st.just("none"),
    lambda inner: st.lists(inner, max_size=3) | st.builds(lambda x: {"choices": x}, inner),
    max_leaves=5,
)


def replace(node: Any, place: list[int], value: Any) -> Any:
    """Return JSON with another value at a place: numbers of keys or items."""
    if not place or not isinstance(node, dict | list) or not node:
        return value
    keys = list(node) if isinstance(node, dict) else [*range(len(node))]
    key = keys[place[0] % len(keys)]
    changed = replace(node[key], place[1:], value)
    if isinstance(node, dict):
        return {**node, key: changed}
    return [*node[:key], changed, *node[key + 1 :]]


@given(places, values)
@settings(max_examples=150, deadline=None)
def test_any_content_is_a_space_or_one_clear_line(place: list[int], value: Any) -> None:
    content = replace(CONTENT, place, value)
    if not isinstance(content, dict):
        return
    try:
        space = make_space(content, Path(), "own")
    except PresetError as error:
        assert "\n" not in str(error)
        return
    json.dumps(space.content, allow_nan=False)
    space.resolve(first)


def test_layers_may_be_nested_deeply_in_one_another() -> None:
    layer: Any = {"kind": "conv", "out_channels": [4, 8], "kernel_size": 3}
    for _ in range(60):
        layer = {"kind": "residual", "layers": [layer]}
    content = {"title": "Deep", "model": {"layers": [layer]}, "train": {}}
    with pytest.raises(PresetError, match="nested more than 8 deep"):
        make_space(content, Path(), "deep")


def test_alternatives_are_checked_one_at_a_time(tmp_path: Path) -> None:
    """Two that do not suit each other are drawn again: together they are no mistake."""
    conv = '{ kind = "conv", out_channels = 4, kernel_size = 3 }'
    mixed = 'augment = [["none", { kind = "cutmix" }], ["none", { kind = "elastic" }]]'
    path = write(tmp_path, conv)
    path.write_text(path.read_text().replace("[model]", f"{mixed}\n[model]"))
    space = load_space(path)
    with pytest.raises(PresetError, match="cutmix mixes labels too"):
        space.resolve(lambda _, range_: range_.ends[1])


@pytest.mark.parametrize("name", list_presets())
def test_a_preset_with_one_range_is_a_space(name: str, tmp_path: Path) -> None:
    """Its own lists are no ranges, and its own figures are left out."""
    content = read_preset(Path("presets") / f"{name}.toml")
    content["train"]["batch_size"] = {"low": 32, "high": 64}
    space = make_space({**content, "name": name}, tmp_path, name)
    decisions, preset = space.resolve(first)
    assert decisions == {"train.batch_size": 32}
    assert preset == load_preset(name, ["train.batch_size=32"])


def test_a_budget_replaces_the_spaces(tmp_path: Path) -> None:
    path = write(tmp_path, CONV.format("[4, 8]"), "[budget]\nmax_epochs = 3\n")
    assert load_space(path).budget.max_epochs == 3
    space = load_space(path, "parameters<700")
    assert [limit[:3] for limit in space.budget.limits] == [("parameters", "<", 700)]
    assert space.resolve(first)[1].budget == space.budget


def test_a_decision_outside_its_range_is_refused(tmp_path: Path) -> None:
    space = load_space(write(tmp_path, CONV.format("{ low = 4, high = 8 }")))
    for wrong in (3, 9, 4.0, True, "4", None):
        with pytest.raises(PresetError, match="out_channels: .* is not in its range"):
            space.resolve(choosing(model_layers_0_out_channels=wrong))  # type: ignore[arg-type]
    space = load_space(write(tmp_path, CONV.format("[4, 8]")))
    for wrong in (-1, 2, 1.0, True):
        with pytest.raises(PresetError, match="out_channels: .* is not in its range"):
            space.resolve(choosing(model_layers_0_out_channels=wrong))


def test_decisions_give_the_same_preset_again(tmp_path: Path) -> None:
    space = load_space(write(tmp_path, CONV.format("{ low = 4, high = 8 }")))
    decisions, preset = space.resolve(choosing(model_layers_0_out_channels=7))
    assert space.rebuild(decisions) == preset
    with pytest.raises(PresetError, match="out_channels: nan is not in its range"):
        space.rebuild({})


def test_a_space_is_made_again_of_its_content(tmp_path: Path) -> None:
    space = load_space(None, "parameters<5000")
    content = json.loads(json.dumps(space.content, allow_nan=False))
    assert make_space(content, space.folder, space.origin) == space


bounds = st.integers(-1_000_000, 1_000_000) | st.floats(-1e6, 1e6).map(lambda x: round(x, 6))


@given(st.tuples(bounds, bounds), st.booleans(), st.floats(0, 1), st.floats(0, 1))
def test_numbers_are_in_their_range_and_ordered(
    ends: tuple[Decision, Decision], log: bool, one: float, other: float
) -> None:
    low, high = sorted(ends)
    if log:
        low, high = sorted((abs(low) or 1, abs(high) or 1))
    range_ = Numbers(low=low, high=high, log=log)
    values = [range_.at(position) for position in sorted((one, other))]
    assert all(map(range_.includes, (*values, *range_.ends)))
    assert values == sorted(values)
    if not range_.is_single:
        assert [range_.at(range_.find(value)) for value in values] == values
        assert all(0 <= range_.find(end) <= 1 for end in range_.ends)


@given(st.lists(st.integers(0, 9) | st.floats(0, 9), min_size=1))
def test_positions_of_numbers_to_choose_from_are_in_order(options: list[Decision]) -> None:
    choices = Choices(tuple(options))
    positions = [choices.find(index) for index in range(len(options))]
    assert [choices.at(position) for position in positions] == [*range(len(options))]
    assert choices.is_ordered
    ordered = sorted(range(len(options)), key=positions.__getitem__)
    assert [options[index] for index in ordered] == sorted(options)


def test_text_and_true_have_no_order() -> None:
    assert not Choices((True, False)).is_ordered
    assert not Choices((1, "none")).is_ordered


def models(types: list[Any], seen: dict[type[BaseModel], None]) -> dict[type[BaseModel], None]:
    """Return all models of a preset, in `seen`."""
    for each in types:
        if isinstance(each, type) and issubclass(each, BaseModel) and each not in seen:
            seen[each] = None
            for field in each.model_fields.values():
                models(list_types(field.annotation), seen)
        elif get_origin(each) not in (None, Literal):
            for item in get_args(each):
                models(list_types(item), seen)
    return seen


def test_no_field_is_named_as_a_range_is_written() -> None:
    names = {name for model in models([Preset], {}) for name in model.model_fields}
    assert {"layers", "out_channels", "betas", "weights"} <= names
    assert not names & {"low", "high", "choices"}


def test_a_field_of_several_kinds_takes_lists_in_all_or_none() -> None:
    """What a list means then does not depend on the kind, which may be a range itself."""
    for model in models([Preset], {}):
        for name, field in model.model_fields.items():
            lists: dict[str, set[bool]] = {}
            for kind in list_types(field.annotation):
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    for key, inner in kind.model_fields.items():
                        is_list = any(get_origin(t) is tuple for t in list_types(inner.annotation))
                        lists.setdefault(key, set()).add(is_list)
            assert not [key for key, found in lists.items() if len(found) > 1], (model, name)


NET = """
from torch import nn
class Net(nn.Sequential):
    def __init__(self, width=4, deep=False):
        super().__init__(nn.Flatten(), nn.Linear(784, width), nn.Linear(width, 10))
"""


def write_code(folder: Path, arguments: str) -> Path:
    (folder / "net.py").write_text(NET)
    path = folder / "code.toml"
    path.write_text(
        'title = "Code"\ntrain = { epochs = 1, batch_size = 64, optimizer = { kind = "adamw", '
        f'learning_rate = 0.01 }} }}\n[model]\npython = "net.py:Net"\narguments = {arguments}\n'
    )
    return path


def test_arguments_of_code_have_ranges(tmp_path: Path) -> None:
    path = write_code(tmp_path, "{ width = [4, 8], deep = [true, false] }")
    untrusted = load_space(path)
    assert not untrusted.resolve(first)[1].model.code.is_trusted  # type: ignore[union-attr]
    space = load_space(path, allow_code=True)
    decisions, preset = space.resolve(choosing(model_arguments_width=1))
    assert decisions == {"model.arguments.width": 1, "model.arguments.deep": 0}
    assert preset.model.code is not None
    assert preset.model.code.is_trusted
    assert preset.model.code.arguments == {"width": 8, "deep": True}
    again = make_space(space.content, space.folder, "plan")
    code = again.resolve(first)[1].model.code
    assert code is not None
    assert code.is_trusted, "it was allowed before, with all its arguments"


def test_changed_code_is_refused(tmp_path: Path) -> None:
    space = load_space(write_code(tmp_path, "{ width = { low = 4, high = 8 } }"))
    (tmp_path / "net.py").write_text(NET + "# changed\n")
    with pytest.raises(PresetError, match="has changed: model.sources has other hashes"):
        make_space(space.content, space.folder, "plan")


def test_code_may_be_moved_with_its_space(tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    path = write_code(tmp_path, "{ width = [4, 8] }")
    (tmp_path / "net.py").rename(tmp_path / "nets" / "net.py")
    path.write_text(path.read_text().replace('"net.py:Net"', '"nets/net.py"'))
    space = load_space(path)
    (tmp_path / "nets").rename(tmp_path / "moved")
    again = make_space(space.content, tmp_path / "moved", "plan")
    code = again.resolve(first)[1].model.code
    assert code is not None
    assert (code.python, code.files) == ("net.py:Net", {"net.py": NET.encode()})
    assert again.content == space.content


def test_code_is_no_alternative(tmp_path: Path) -> None:
    path = write_code(tmp_path, "{ width = [4, 8] }")
    path.write_text(path.read_text().replace('"net.py:Net"', '["net.py:Net", "net.py:Other"]'))
    with pytest.raises(PresetError, match="model.python: code cannot be one of several"):
        load_space(path)


def test_the_default_space_is_valid() -> None:
    space: Space = load_space(None)
    assert space.resolve(first)[1].train.epochs == 18
