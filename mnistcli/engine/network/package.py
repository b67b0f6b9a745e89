"""The user's own code as modules: compiled from the bytes that were hashed, and nothing else."""

import builtins
import linecache
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import decode_source, spec_from_loader
from itertools import count
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from mnistcli.preset.code.code import Code
from mnistcli.preset.code.sources import find_elsewhere, is_installed, search_path

NUMBERS = count(1)


class Package(MetaPathFinder):
    """The modules of one network's code, below a package of their own.

    So two networks with files of the same names do not meet. The finder serves the listed files
    and, while it is first on sys.meta_path, nothing else that is not installed.
    """

    is_of_user = True

    def __init__(self, name: str, files: Mapping[str, bytes], folder: Path) -> None:
        self.name, self._files, self._folder = name, files, folder

    def load(self, entry: str) -> ModuleType:
        """Import the entry, once."""
        name = f"{self.name}.{_to_module(entry)}"
        if name not in sys.modules:
            __import__(name)
        return sys.modules[name]

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Find the listed files, and only them, for as long as the block runs."""
        sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            if self in sys.meta_path:
                sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find one of the listed files; refuse a module that is neither listed nor installed.

        Raises:
            ImportError: there is no such module.
        """
        if fullname == self.name:
            return ModuleSpec(fullname, None, is_package=True)
        if not fullname.startswith(f"{self.name}."):
            if "." not in fullname and not is_installed(fullname, self._folder):
                self._refuse_unlisted(fullname)
            return None
        place = fullname.removeprefix(f"{self.name}.").replace(".", "/")
        for file in self._files:
            if _to_module(file).replace(".", "/") == place:
                path_ = name_file(self._folder, file)
                loader = SourceLoader(self._files[file], path_, self._import)
                is_package = file.endswith("/__init__.py")
                return spec_from_loader(fullname, loader, origin=path_, is_package=is_package)
        if any(file.startswith(f"{place}/") for file in self._files):
            return ModuleSpec(fullname, None, is_package=True)
        self._refuse_unlisted(name := fullname.removeprefix(f"{self.name}."))
        raise ModuleNotFoundError(f"no module {name} is installed or beside the network")

    def _refuse_unlisted(self, name: str) -> None:
        """Refuse a file that the import statements do not name, wherever Python would find it."""
        stem = name.replace(".", "/")
        beside = (f"{stem}.py", f"{stem}/__init__.py")
        found = next((file for file in beside if (self._folder / file).is_file()), None)
        if place := found or find_elsewhere(name, self._folder):
            raise ImportError(
                f"{place} is not among the files of the network. Put it beside the network, and "
                "import it with an import statement"
            )

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Import as Python does, but let a name mean a listed file where no package has it."""
        top = name.partition(".")[0]
        if level or is_installed(top, self._folder) or not self._has(top):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        found = builtins.__import__(f"{self.name}.{name}", globals, locals, fromlist or (), 0)
        return found if fromlist else sys.modules[f"{self.name}.{top}"]

    def _has(self, top: str) -> bool:
        return any(file == f"{top}.py" or file.startswith(f"{top}/") for file in self._files)


class SourceLoader(InspectLoader):
    """Compiles a module from bytes in memory, without reading or writing a .pyc."""

    def __init__(self, content: bytes, path: str, import_: Any) -> None:
        self._content, self._path, self._import = content, path, import_

    def get_source(self, fullname: str) -> str:
        """Return the text."""
        return decode_source(self._content)

    def get_code(self, fullname: str) -> CodeType:
        """Compile the bytes."""
        return compile(self._content, self._path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, with its own way of importing.

        Tracebacks, and whatever else asks for its lines as torch.jit.script does, get those that
        run, and not what the file on disk may hold by now.
        """
        text = self.get_source(module.__name__)
        lines = text.splitlines(keepends=True)
        linecache.cache[self._path] = (len(text), None, lines, self._path)
        module.__file__ = self._path
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._import}
        super().exec_module(module)


def name_file(folder: Path, place: str) -> str:
    """Return the absolute path of a source file, which is its name in tracebacks."""
    return os.path.abspath(folder / place)


def find_package(code: Code) -> Package:
    """Return the package of a network's code, always the same one."""
    return _make_package(tuple(code.files.items()), Path(os.path.abspath(code.folder)))


@cache
def _make_package(files: tuple[tuple[str, bytes], ...], folder: Path) -> Package:
    search_path()  # as it is before any of the code runs
    package = Package(f"_mnistcli_code_{next(NUMBERS)}", dict(files), folder)
    own = ModuleType(package.name)
    own.__path__ = []
    sys.modules[package.name] = own
    return package


def _to_module(file: str) -> str:
    """Return the dotted name of a file below the package, as in "blocks.conv"."""
    return file.removesuffix(".py").removesuffix("/__init__").replace(".", "_").replace("/", ".")
