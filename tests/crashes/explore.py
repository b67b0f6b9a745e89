"""Crashes and errors of a scenario → those after which it does not end as it should."""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crashes.disk import CrashState, State, list_states, write_state
from tests.crashes.recorder import HalfWritten, Operation, Rename, SyncFolder, Write, record
from tests.crashes.scenarios import Scenario, Violation

Damage = Callable[[Sequence[Operation]], list[Operation]]


@dataclass
class Explored:
    """What was tried, and what went wrong."""

    states: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


def find_promise(operations: Sequence[Operation], end: str) -> int:
    """Return after how many operations the file whose name ends so is on the disk."""
    for place, operation in enumerate(operations):
        if isinstance(operation, Rename) and operation.target.name.endswith(end):
            folder = operation.target.parent
            return operations.index(SyncFolder(folder), place) + 1
    raise AssertionError(f"no file {end} was written")


def draw(states: Sequence[CrashState], most: int | None, seed: int) -> Sequence[CrashState]:
    """Draw so many states, a third of them left by kills; all for None."""
    if most is None or most >= len(states):
        return states
    rng, kills = random.Random(seed), [state for state in states if state[1] == "kill"]
    cuts = [state for state in states if state[1] != "kill"]
    kills = rng.sample(kills, min(len(kills), most // 3))
    return kills + rng.sample(cuts, min(len(cuts), most - len(kills)))


def explore(
    scenario: Scenario, root: Path, *, most: int | None = None, seed: int = 0,
    damage: Damage | None = None,
) -> Explored:  # fmt: skip
    """Resume a scenario from its crash states.

    Args:
        scenario: what crashes.
        root: folder of its files, removed and made again for every state.
        most: number of states, drawn at random; None for all.
        seed: of the draw.
        damage: of the operations, to see that it is noticed.
    """
    wanted, promise, operations = begin_scenario(scenario, root)
    if damage:
        operations = damage(operations)
    states = draw(list(list_states(operations, seed)), most, seed)
    explored = Explored()
    for done, kind, state in states:
        shutil.rmtree(root)
        root.mkdir()
        write_state(state, root)
        explored.states[kind] += 1
        if fault := try_to_end(scenario, root, wanted, is_promised=done >= promise):
            explored.violations.append(
                f"{kind} after {done} operations: {fault[:500]}; {_show(state)}"
            )
    return explored


def begin_scenario(scenario: Scenario, root: Path) -> tuple[Any, int, Sequence[Operation]]:
    """Run a scenario; return what is left, when it could be resumed, and its operations."""
    root.mkdir()
    with record(root) as recorder:
        scenario.begin(root)
    wanted = scenario.resume(root)
    operations = recorder.operations
    return wanted, find_promise(operations, scenario.begun), operations


def try_to_end(scenario: Scenario, root: Path, wanted: Any, *, is_promised: bool) -> str | None:
    try:
        left = scenario.resume(root)
    except (Violation, ValueError, OSError) as violation:
        return repr(violation)
    if left is None:
        return "begun, but not resumed" if is_promised else None
    return None if left == wanted else f"another result: {left}"


def _show(state: State) -> str:
    sizes = {
        str(path): None if content is None else len(content) for path, content in state.items()
    }
    return ", ".join(f"{path} {size}" for path, size in sizes.items() if size is not None)


def fail_at(
    scenario: Scenario, root: Path, errors: Sequence[BaseException], *, most: int | None = None,
    seed: int = 0,
) -> Explored:  # fmt: skip
    """Let each operation of a scenario raise each of some errors, alone, and then resume it.

    Args:
        scenario: what meets the errors.
        root: folder of its files, removed and made again each time.
        errors: what is raised.
        most: number of failures, drawn at random; None for all.
        seed: of the draw.
    """
    wanted, promise, operations = begin_scenario(scenario, root)
    places = [
        (number, error)
        for number, operation in enumerate(operations)
        for error in errors
        if isinstance(operation, Write) or not isinstance(error, HalfWritten)
    ]
    if most is not None and most < len(places):
        places = random.Random(seed).sample(places, most)
    explored = Explored()
    for number, error in places:
        shutil.rmtree(root)
        root.mkdir()
        name = type(error).__name__
        explored.states[name] += 1
        if fault := _fail_once(scenario, root, number, error) or try_to_end(
            scenario, root, wanted, is_promised=number >= promise
        ):
            explored.violations.append(f"{error!r} at operation {number}: {fault[:600]}")
    return explored


def _fail_once(scenario: Scenario, root: Path, number: int, error: BaseException) -> str | None:
    has_failed = False

    def fail(done: int) -> None:
        nonlocal has_failed
        if done == number and not has_failed:
            has_failed = True
            raise error

    try:
        with record(root, fail):
            scenario.begin(root)
    except Violation as violation:
        return str(violation)
    return None if has_failed else "the operation was not reached"
