"""New networks of a space: at random, or from the decisions that others were made with."""

from collections.abc import Callable
from contextlib import suppress

import numpy as np

from mnistcli.errors import PresetError
from mnistcli.preset.ranges import Decision, Numbers, Range
from mnistcli.preset.schema import Preset
from mnistcli.preset.space import Decisions, Space

TRIES = 200
MOST_CHANGES = 3
FAR = 0.2
"""Probability that a changed decision is drawn anew instead of from near its old value."""
STEP = 0.15
"""Standard deviation of a small change of a number, as a fraction of its range."""
COUNTS = frozenset({"out_channels", "out_features", "times", "width", "depth"})
"""Fields of [model], lower values of which make smaller networks; so do code's arguments."""

Network = tuple[Decisions, Preset]


def draw(space: Space, generator: np.random.Generator) -> Network:
    """Return a network with every active decision drawn uniformly.

    Raises:
        PresetError: no valid network was found.
    """
    return _try(space, lambda: space.resolve(lambda _, range_: range_.at(generator.random())))


def mutate(space: Space, decisions: Decisions, generator: np.random.Generator) -> Network:
    """Return a network that differs from its parent in one to three decisions.

    What these make active is drawn uniformly. Ordered decisions mostly change to a near value.

    Args:
        space: with at least two networks.
        decisions: of the parent.
        generator: for all random numbers.

    Raises:
        PresetError: no other valid network was found.
    """

    def make() -> Network:
        paths = list(decisions)
        count = int(generator.integers(1, min(MOST_CHANGES, len(paths)) + 1))
        changed = set(generator.choice(paths, count, replace=False))

        def choose(path: str, range_: Range) -> Decision:
            if path not in decisions:
                return range_.at(generator.random())
            old = decisions[path]
            return _change(range_, old, generator) if path in changed else old

        return space.resolve(choose)

    return _try(space, make, decisions)


def cross(
    space: Space, one: Decisions, other: Decisions, generator: np.random.Generator
) -> Network:
    """Return a network with each decision of either parent, equally likely (uniform crossover).

    A decision that only one of them has made is taken from it, and one of neither is drawn.

    Raises:
        PresetError: no valid network was found.
    """

    def choose(path: str, range_: Range) -> Decision:
        parents = [parent[path] for parent in (one, other) if path in parent]
        if not parents:
            return range_.at(generator.random())
        return parents[int(generator.integers(len(parents)))]

    return _try(space, lambda: space.resolve(choose))


def shrink(space: Space, decisions: Decisions, generator: np.random.Generator) -> Network | None:
    """Return the network with a lower number of channels, features or repetitions in one place.

    Args:
        space: that the network is from.
        decisions: of the network.
        generator: chooses the place, and how much is taken away.

    Returns:
        None if all these numbers are at their low ends, or no lower one makes a valid network.
    """
    ranges = _list_ranges(space, decisions)
    paths = [path for path, range_ in ranges.items() if _can_shrink(path, range_, decisions[path])]
    for path in map(str, generator.permutation(paths)):
        lower = {**decisions, path: _lower(ranges[path], decisions[path], generator)}
        with suppress(PresetError):
            return lower, space.rebuild(lower)
    return None


def _try(space: Space, make: Callable[[], Network], parent: Decisions | None = None) -> Network:
    """Return what is made first that is valid and has other decisions than the parent."""
    for _ in range(TRIES):
        try:
            found = make()
        except PresetError:
            continue
        if found[0] != parent:
            return found
    raise PresetError(
        f'no valid network found in the space "{space.origin}" in {TRIES} tries. Remove '
        "alternatives that cannot be combined."
    )


def _list_ranges(space: Space, decisions: Decisions) -> dict[str, Range]:
    """Return the active ranges by their paths."""
    ranges = dict[str, Range]()

    def choose(path: str, range_: Range) -> Decision:
        ranges[path] = range_
        return decisions[path]

    space.resolve(choose)
    return ranges


def _change(range_: Range, old: Decision, generator: np.random.Generator) -> Decision:
    """Return another decision, mostly a near one if the range is ordered."""
    new = old
    while new == old:
        position = generator.random()
        if range_.is_ordered and generator.random() >= FAR:
            position = range_.find(old) + _step(range_, generator)
        new = range_.at(float(np.clip(position, 0, 1)))
    return new


def _step(range_: Range, generator: np.random.Generator) -> float:
    if isinstance(range_, Numbers):
        return float(generator.normal(0, STEP))
    return float(generator.choice([-1, 1])) / len(range_.options)


def _can_shrink(path: str, range_: Range, decision: Decision) -> bool:
    is_count = path.startswith("model.") and path.rpartition(".")[2] in COUNTS
    is_count |= path.startswith("model.arguments.")
    return is_count and range_.is_ordered and decision != range_.at(0)


def _lower(range_: Range, old: Decision, generator: np.random.Generator) -> Decision:
    """Return the next lower choice, or a number that is half as far from the low end, or more."""
    position, new = range_.find(old), old
    if not isinstance(range_, Numbers):
        return range_.at(position - 1 / len(range_.options))
    while new >= old:
        position *= generator.uniform(0.5, 1)
        new = range_.at(position)
    return new
