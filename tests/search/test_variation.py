from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistcli.errors import PresetError
from mnistcli.experiment.network import describe_network
from mnistcli.preset.ranges import Decision, Range
from mnistcli.preset.schema import Preset
from mnistcli.preset.space import Decisions, Space, load_space, make_space
from mnistcli.search.variation import COUNTS, cross, draw, mutate, shrink

SPACE = load_space(None)
seeds = st.integers(0, 2**32)
few = settings(max_examples=15, deadline=None)


def make(layers: list[object], **train: object) -> Space:
    optimizer = {"kind": "adamw", "learning_rate": 0.01}
    content = {
        "title": "A space",
        "name": "own",
        "model": {"layers": [*layers, {"kind": "flatten"}, {"kind": "linear", "out_features": 10}]},
        "train": {"epochs": 1, "batch_size": 64, "optimizer": optimizer, **train},
    }
    return make_space(content, Path(), "own")


def take(decisions: Decisions, space: Space = SPACE) -> tuple[dict[str, Range], Preset]:
    """Return the active ranges of decisions, all of which must be active, and the preset."""
    ranges = dict[str, Range]()

    def choose(path: str, range_: Range) -> Decision:
        ranges[path] = range_
        return decisions[path]

    found, preset = space.resolve(choose)
    assert found == decisions
    assert [*found] == [*ranges]
    return ranges, preset


@given(seeds)
@few
def test_what_is_drawn_changed_and_crossed_is_what_its_decisions_say(seed: int) -> None:
    generator = np.random.default_rng(seed)
    one, other = draw(SPACE, generator), draw(SPACE, generator)
    child = cross(SPACE, one[0], other[0], generator)
    for decisions, preset in (one, other, child, mutate(SPACE, child[0], generator)):
        assert take(decisions)[1] == preset


@given(seeds)
@few
def test_the_same_state_of_the_generator_gives_the_same_networks(seed: int) -> None:
    def run() -> Iterator[object]:
        generator = np.random.default_rng(seed)
        one, other = draw(SPACE, generator), draw(SPACE, generator)
        yield from (one, other, mutate(SPACE, one[0], generator))
        yield cross(SPACE, one[0], other[0], generator)
        yield shrink(SPACE, one[0], generator)
        yield generator.random()

    assert [*run()] == [*run()]


@given(seeds)
@few
def test_a_mutation_changes_one_to_three_decisions_that_stay_active(seed: int) -> None:
    generator = np.random.default_rng(seed)
    parent = draw(SPACE, generator)[0]
    child = mutate(SPACE, parent, generator)[0]
    assert child != parent
    changed = [path for path in child.keys() & parent.keys() if child[path] != parent[path]]
    assert 1 <= len(changed) <= 3


@given(seeds)
@few
def test_a_child_has_every_decision_of_a_parent_that_made_it(seed: int) -> None:
    generator = np.random.default_rng(seed)
    one, other = draw(SPACE, generator)[0], draw(SPACE, generator)[0]
    child = cross(SPACE, one, other, generator)[0]
    for path, decision in child.items():
        made = [parent[path] for parent in (one, other) if path in parent]
        assert not made or decision in made
    assert cross(SPACE, one, one, generator)[0] == one


def test_small_changes_are_more_frequent_than_large_ones() -> None:
    space = make([], batch_size={"low": 1, "high": 1000})
    generator = np.random.default_rng(0)
    parent: Decisions = {"train.batch_size": 500}
    values = [mutate(space, parent, generator)[0]["train.batch_size"] for _ in range(300)]
    near = [value for value in values if abs(value - 500) <= 250]
    assert 0.7 < len(near) / len(values) < 0.95
    assert 500 not in values


@given(seeds)
@settings(max_examples=2, deadline=None)
def test_shrinking_lowers_one_number_until_none_is_left(seed: int) -> None:
    generator = np.random.default_rng(seed)
    decisions, preset = draw(SPACE, generator)
    counts = [sum(layer.parameters for layer in describe_network(preset))]
    while smaller := shrink(SPACE, decisions, generator):
        ranges = take(smaller[0])[0]
        (changed,) = [path for path in decisions if decisions[path] != smaller[0][path]]
        assert changed.split(".")[-1] in COUNTS
        range_ = ranges[changed]
        assert range_.find(smaller[0][changed]) < range_.find(decisions[changed])
        decisions, preset = smaller
        counts.append(sum(layer.parameters for layer in describe_network(preset)))
    assert counts == sorted(counts, reverse=True)
    ranges, _ = take(decisions)
    assert all(
        decisions[path] == range_.at(0)
        for path, range_ in ranges.items()
        if path.split(".")[-1] in COUNTS
    )


def test_numbers_in_alternatives_are_lowered() -> None:
    generator = np.random.default_rng(0)
    linear = {"kind": "linear", "out_features": {"low": 10, "high": 11}}
    content = {**make([], batch_size=[1, 2]).content}
    content["model"] = [{"layers": [{"kind": "flatten"}, linear]}]
    content["model"].append({"layers": [{"kind": "flatten"}, {**linear, "out_features": 10}]})
    own = make_space(content, Path(), "own")
    larger: Decisions = {"model": 0, "model.0.layers.1.out_features": 11, "train.batch_size": 1}
    smaller = shrink(own, larger, generator)
    assert smaller is not None
    assert smaller[0] == {**larger, "model.0.layers.1.out_features": 10}
    assert shrink(own, smaller[0], generator) is None
    assert shrink(own, {"model": 1, "train.batch_size": 1}, generator) is None


def test_lower_arguments_of_code_are_tried(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("def make(width, kind): ...\n")
    content = {**make([], batch_size=[1, 2]).content}
    arguments = {"width": [8, 4], "kind": ["a", "b"]}
    content["model"] = {"python": "net.py:make", "arguments": arguments}
    space = make_space(content, tmp_path, "own")
    decisions = {"model.arguments.width": 0, "model.arguments.kind": 1, "train.batch_size": 1}
    smaller = shrink(space, decisions, np.random.default_rng(0))
    assert smaller is not None
    assert smaller[0] == {**decisions, "model.arguments.width": 1}
    assert smaller[1].model.arguments == {"width": 4, "kind": "b"}


def test_what_makes_no_network_smaller_is_not_lowered() -> None:
    conv = {"kind": "conv", "out_channels": 4, "kernel_size": [3, 5], "stride": [1, 2]}
    space = make([conv], schedule={"kind": "step", "every_epochs": [1, 2], "factor": 0.5})
    decisions = draw(space, np.random.default_rng(0))[0]
    assert shrink(space, decisions, np.random.default_rng(0)) is None


def test_invalid_combinations_are_drawn_again_or_refused() -> None:
    """Momentum and nesterov are valid one at a time only with the other's first value."""
    optimizer = {
        "kind": "sgd",
        "learning_rate": 0.1,
        "momentum": [0.9, 0.5, 0],
        "nesterov": [False, True],
    }
    space = make([], optimizer=optimizer)
    generator = np.random.default_rng(0)
    drawn = [draw(space, generator)[0] for _ in range(60)]
    pairs = {(d["train.optimizer.momentum"], d["train.optimizer.nesterov"]) for d in drawn}
    assert pairs == {(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)}


def test_a_space_without_another_network_is_refused_in_one_line() -> None:
    optimizer = {"kind": "sgd", "learning_rate": 0.1, "momentum": [0.9, 0.9], "nesterov": True}
    space = make([], optimizer=optimizer)
    parent = draw(space, np.random.default_rng(0))[0]

    class Stuck(Space):
        def resolve(self, choose: object) -> tuple[Decisions, Preset]:
            raise PresetError("invalid")

    stuck = Stuck(space.content, space.folder, space.origin)
    for act in (
        lambda: draw(stuck, np.random.default_rng(0)),
        lambda: mutate(stuck, parent, np.random.default_rng(0)),
        lambda: cross(stuck, parent, parent, np.random.default_rng(0)),
    ):
        with pytest.raises(PresetError, match='^no valid network found in the space "own"'):
            act()
