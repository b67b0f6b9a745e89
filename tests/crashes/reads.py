"""Errors of reads: whichever file cannot be read, the job ends documented, and later the same."""

import io
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.conftest import Answer
from tests.crashes import scenarios
from tests.crashes.disk import list_states, write_state
from tests.crashes.explore import Explored, begin_scenario, try_to_end
from tests.crashes.scenarios import Scenario, Violation


@contextmanager
def watch_reads(roots: Sequence[Path], before: Callable[[int], None]) -> Iterator[Callable]:
    """Call `before` with the number of files read so far, whenever a command reads one in `roots`.

    What it raises, the read raises. Files that are opened outside of Python are not seen.
    """
    real, real_command, count = io.open, scenarios.run_command, 0
    resolved = [root.resolve() for root in roots]

    def open_file(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        nonlocal count
        is_read = not isinstance(file, int) and not set(mode) & set("wax+")
        if is_read and any(Path(file).resolve().is_relative_to(root) for root in resolved):
            count += 1
            before(count - 1)
        return real(file, mode, *arguments, **options)

    def run_command(*arguments: object) -> Answer:
        with patch("io.open", open_file), patch("builtins.open", open_file):
            return real_command(*arguments)

    with patch.object(scenarios, "run_command", run_command):
        yield lambda: count


def fail_reads(
    scenario: Scenario, root: Path, data: Path, errors: Sequence[BaseException], *,
    most: int | None = None, seed: int = 0,
) -> Explored:  # fmt: skip
    """Kill a scenario halfway, resume it with a read that fails, and then resume it.

    Args:
        scenario: what is resumed.
        root: folder of its files, removed and made again each time.
        data: folder of the images that it reads.
        errors: what is raised.
        most: number of failures, drawn at random; None for all.
        seed: of the draw.
    """
    wanted, promise, operations = begin_scenario(scenario, root)
    kills = [state for done, kind, state in list_states(operations, seed)
             if kind == "kill" and done >= promise]  # fmt: skip
    halfway = kills[len(kills) // 2]

    def restore() -> None:
        shutil.rmtree(root)
        root.mkdir()
        write_state(halfway, root)

    restore()
    with watch_reads((root, data), lambda number: None) as count_reads:
        scenario.resume(root)
    places = [(number, error) for number in range(count_reads()) for error in errors]
    if most is not None and most < len(places):
        places = random.Random(seed).sample(places, most)
    explored = Explored()
    for number, error in places:
        restore()
        explored.states[type(error).__name__] += 1
        if fault := _fail_once(scenario, root, data, number, error) or try_to_end(
            scenario, root, wanted, is_promised=True
        ):
            explored.violations.append(f"{error!r} at read {number}: {fault[:600]}")
    return explored


def _fail_once(
    scenario: Scenario, root: Path, data: Path, number: int, error: BaseException
) -> str | None:
    def fail(done: int) -> None:
        if done == number:
            raise error

    try:
        with watch_reads((root, data), fail):
            scenario.resume(root)
    except (Violation, ValueError, OSError) as violation:
        return repr(violation)
    return None
