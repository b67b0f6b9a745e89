"""A model of a disk: operations → what a killed process or a power cut may leave of them.

A killed process leaves everything that it had done. After a power cut, only what was synced is
sure. Of the rest, in any combination: the content of a file may be what it was at its last sync, a
part of what was written since, or all of that; a name that was given, taken or changed since its
folder's last sync may be the old or the new one, in any order. So a renamed file can be there
without its content.

Source: Pillai et al. 2014, "All File Systems Are Not Created Equal" (ALICE), whose weakest model
of a file system this is, but that a rename is atomic.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.crashes.recorder import (
    Create,
    MakeFolder,
    Operation,
    Remove,
    Rename,
    Sync,
    SyncFolder,
    Truncate,
    Write,
)

Naming = Create | Rename | Remove | MakeFolder
State = Mapping[Path, bytes | None]
"""Content of every file by its path; None for a folder."""
CrashState = tuple[int, str, State]
"""Number of operations done, "kill" or "power cut", and the files."""
FOLDER = -1


@dataclass
class Disk:
    """What was done so far, and what of it is sure."""

    synced: dict[int, bytes] = field(default_factory=dict)
    """Content of every file at its last sync."""
    written: dict[int, list[bytes]] = field(default_factory=dict)
    """Contents of every file since then, the last one as the process sees it."""
    names: dict[Path, int] = field(default_factory=dict)
    """Number of every file, FOLDER for a folder: those that are sure."""
    pending: list[Naming] = field(default_factory=list)
    """What was done to names since."""

    def apply(self, operation: Operation) -> None:
        """Do one operation."""
        match operation:
            case Write(file, content):
                self.written[file].append(self._content(file) + content)
            case Truncate(file, size):
                self.written[file].append(self._content(file)[:size].ljust(size, b"\0"))
            case Sync(file):
                self.synced[file] = self._content(file)
                self.written[file] = []
            case SyncFolder(path):
                # A folder is not found without the names of those above it; they are not sure yet.
                sure = [each for each in self.pending if _folder_of(each) == path]
                self.names = _name(self.names, sure)
                self.pending = [each for each in self.pending if _folder_of(each) != path]
            case _:
                self.pending.append(operation)
                if isinstance(operation, Create):
                    self.synced[operation.file] = b""
                    self.written[operation.file] = []

    def _content(self, file: int) -> bytes:
        return self.written[file][-1] if self.written[file] else self.synced[file]

    def after_kill(self) -> State:
        """Return what a killed process leaves: everything."""
        names = _name(self.names, self.pending)
        return self._fill(names, {file: self._content(file) for file in self.synced})

    def after_power_cut(self, rng: random.Random, samples: int) -> Iterator[State]:
        """Generate what a power cut may leave: the extremes, each single loss, and samples."""
        last = {file: self._content(file) for file in self.synced}
        every = range(len(self.pending))
        for names in (
            [], *([each] for each in every), *([one for one in every if one != each]
            for each in every), [*every],
        ):  # fmt: skip
            found = _name(self.names, [self.pending[each] for each in names])
            yield self._fill(found, self.synced)
            yield self._fill(found, last)
        for _ in range(samples):
            names = [each for each in every if rng.random() < 0.5]
            found = _name(self.names, [self.pending[each] for each in names])
            contents = {file: rng.choice(self._possible(file, rng)) for file in self.synced}
            yield self._fill(found, contents)
        for file in self.synced:
            for content in self._possible(file, rng):
                yield self._fill(_name(self.names, self.pending), last | {file: content})

    def _possible(self, file: int, rng: random.Random) -> list[bytes]:
        """Return contents that a file may have: old, new, torn, or of the new size but zeros."""
        old = self.synced[file]
        found = [old]
        for content in self.written[file]:
            grown = len(content) - len(old)
            if grown > 0:
                cut = len(old) + rng.randrange(grown)
                found += [content[:cut], content[:cut].ljust(len(content), b"\0")]
            found.append(content)
        return found

    @staticmethod
    def _fill(names: Mapping[Path, int], contents: Mapping[int, bytes]) -> State:
        root = Path()
        folders = {root} | {path for path, file in names.items() if file == FOLDER}
        return {
            path: None if file == FOLDER else contents[file]
            for path, file in names.items()
            if all(parent in folders for parent in path.parents)
        }


def _folder_of(operation: Naming) -> Path:
    return (operation.target if isinstance(operation, Rename) else operation.path).parent


def _name(names: Mapping[Path, int], operations: Sequence[Naming]) -> dict[Path, int]:
    """Return the names after some operations; one whose name is not there has no effect."""
    found = dict(names)
    for operation in operations:
        match operation:
            case Create(path, file):
                found[path] = file
            case MakeFolder(path):
                found[path] = FOLDER
            case Remove(path):
                found.pop(path, None)
            case Rename(source, target):
                for path in [each for each in found if each.is_relative_to(source)]:
                    found[target / path.relative_to(source)] = found.pop(path)
    return found


def list_states(
    operations: Sequence[Operation], seed: int = 0, samples: int = 4
) -> Iterator[CrashState]:
    """Generate the states that a crash after every operation may leave, each once."""
    disk, seen, rng = Disk(), set[int](), random.Random(seed)
    for done, operation in enumerate([None, *operations]):
        if operation is not None:
            disk.apply(operation)
        states = [("kill", disk.after_kill())]
        states += [("power cut", state) for state in disk.after_power_cut(rng, samples)]
        for kind, state in states:
            # The same files after another operation promise more, so they are a state of their own.
            key = hash((done, frozenset(state.items())))
            if key not in seen:
                seen.add(key)
                yield done, kind, state


def write_state(state: State, root: Path) -> None:
    """Write the files of a state into an empty folder."""
    for path in sorted(state):
        content = state[path]
        if content is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)
