"""Record every operation of the file layer below a folder, in the order of the calls."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from mnistcli.records import files
from mnistcli.records.files import OutputFile


@dataclass(frozen=True)
class Create:
    """A new, empty file has a name."""

    path: Path
    file: int
    """Number of the file, which stays the same when it is renamed."""


@dataclass(frozen=True)
class Write:
    """Bytes were appended."""

    file: int
    content: bytes


@dataclass(frozen=True)
class Truncate:
    """A file was cut to a size."""

    file: int
    size: int


@dataclass(frozen=True)
class Sync:
    """The content of a file is on the disk."""

    file: int


@dataclass(frozen=True)
class Rename:
    """A file or folder has another name, instead of what had it before."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Remove:
    """A file or an empty folder has no name any more."""

    path: Path


@dataclass(frozen=True)
class MakeFolder:
    """A new, empty folder has a name."""

    path: Path


@dataclass(frozen=True)
class SyncFolder:
    """The names in a folder are on the disk."""

    path: Path


Operation = Create | Write | Truncate | Sync | Rename | Remove | MakeFolder | SyncFolder


class HalfWritten(OSError):
    """A write fails after half of its bytes."""


class Recorder:
    """The operations below a folder, with paths relative to it; the folder was empty before."""

    def __init__(self, root: Path) -> None:
        self.operations: list[Operation] = []
        self._root = root
        self._files: dict[Path, int] = {}
        self._count = 0

    def _name(self, path: Path) -> Path | None:
        absolute = Path(os.path.abspath(path))
        return absolute.relative_to(self._root) if absolute.is_relative_to(self._root) else None

    def _add(self, operation: Operation) -> None:
        self.operations.append(operation)

    def open(self, path: Path, *, is_new: bool, append: bool) -> int | None:
        """Record that a file was opened; return its number."""
        if (name := self._name(path)) is None or not (path.is_file() or is_new):
            return None
        if is_new or name not in self._files:
            self._files[name] = self._count
            self._count += 1
            self._add(Create(name, self._files[name]))
        elif not append:
            self._add(Truncate(self._files[name], 0))
        return self._files[name]

    def change(self, file: int | None, kind: Callable[..., Operation], *values: Any) -> None:
        """Record what was done to an open file."""
        if file is not None:
            self._add(kind(file, *values))

    def rename(self, source: Path, target: Path) -> None:
        """Record a rename, of a folder with everything in it too."""
        old, new = self._name(source), self._name(target)
        if old is None or new is None:
            assert old == new, "a rename into or out of the folder"
            return
        moved = {path: file for path, file in self._files.items() if path.is_relative_to(old)}
        for path, file in moved.items():
            del self._files[path]
            self._files[new / path.relative_to(old)] = file
        self._add(Rename(old, new))

    def name(self, kind: Callable[[Path], Operation], path: Path) -> None:
        """Record what was done to a name."""
        if (name := self._name(path)) is not None:
            if kind is Remove:
                self._files.pop(name, None)
            self._add(kind(name))


@contextmanager
def record(root: Path, before: Callable[[int], None] = lambda number: None) -> Iterator[Recorder]:
    """Record what the file layer does below an empty folder inside the `with` block.

    Args:
        root: the folder.
        before: called with the number of operations done before every one, below that folder or
            not; what it raises, the operation raises.
    """
    recorder, numbers = Recorder(root.resolve()), dict[int, int | None]()
    real = {name: getattr(files, name) for name in
            ("create_folder", "remove", "remove_folder", "rename", "sync_folder")}  # fmt: skip
    methods = {name: getattr(OutputFile, name) for name in
               ("__init__", "write", "truncate", "sync")}  # fmt: skip

    def begin() -> None:
        before(len(recorder.operations))

    def open_file(self: OutputFile, path: Path, *, append: bool = False) -> None:
        begin()
        is_new = not path.exists()
        methods["__init__"](self, path, append=append)
        numbers[id(self)] = recorder.open(path, is_new=is_new, append=append)

    def write(self: OutputFile, content: bytes) -> None:
        try:
            begin()
        except HalfWritten:
            methods["write"](self, content[: len(content) // 2])
            raise
        methods["write"](self, content)
        recorder.change(numbers[id(self)], Write, content)

    def truncate(self: OutputFile, size: int) -> None:
        begin()
        methods["truncate"](self, size)
        recorder.change(numbers[id(self)], Truncate, size)

    def sync(self: OutputFile) -> None:
        begin()
        methods["sync"](self)
        recorder.change(numbers[id(self)], Sync)

    def watch(name: str, kind: Callable[[Path], Operation]) -> Callable[[Path], None]:
        def change_name(path: Path) -> None:
            begin()
            real[name](path)
            recorder.name(kind, path)

        return change_name

    def rename(source: Path, target: Path) -> None:
        begin()
        real["rename"](source, target)
        recorder.rename(source, target)

    def remove(path: Path) -> None:
        begin()
        is_there = path.exists()
        real["remove"](path)
        if is_there:
            recorder.name(Remove, path)

    with (
        patch.multiple(OutputFile, __init__=open_file, write=write, truncate=truncate, sync=sync),
        patch.multiple(files, rename=rename, remove=remove,
                       create_folder=watch("create_folder", MakeFolder),
                       remove_folder=watch("remove_folder", Remove),
                       sync_folder=watch("sync_folder", SyncFolder)),
    ):  # fmt: skip
        yield recorder
