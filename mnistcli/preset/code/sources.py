"""The source files of a network, found by their import statements without running them."""

import ast
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path

from mnistcli.errors import PresetError, reason_of

SIZE_LIMIT = 1 << 20
FILES_LIMIT = 200

Sources = dict[str, bytes]
"""Contents by path relative to the folder of the entry, with "/"; the entry comes first."""


def collect_sources(folder: Path, entry: str) -> Sources:
    """Read a file of Python code, and every file beside or below it that it imports.

    A name of the standard library or of an installed package never means a file beside it.

    Raises:
        PresetError: a file is unreadable, lies outside of `folder`, is no Python, or all together
            are larger than 1 MiB.
    """
    sources: Sources = {}
    waiting = [entry]
    while waiting:
        place = waiting.pop(0)
        if place in sources:
            continue
        sources[place] = read_source(folder, place)
        if sum(map(len, sources.values())) > SIZE_LIMIT or len(sources) > FILES_LIMIT:
            raise PresetError(
                f'the network "{folder / entry}" imports more than {SIZE_LIMIT:,} bytes of code '
                f"in its folder, or more than {FILES_LIMIT} files"
            )
        waiting += _find_imports(folder, place, parse_source(sources[place], folder / place))
    return sources


def read_source(folder: Path, place: str) -> bytes:
    """Return the content of a source file.

    Raises:
        PresetError: it is unreadable, larger than 1 MiB, or a link out of the folder.
    """
    path = folder / place
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise PresetError(f'cannot use "{path}": it is a link out of its folder')
        if path.exists() and not path.is_file():
            raise PresetError(f'cannot read "{path}": it is not a file')
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise PresetError(f'cannot read "{path}": {reason_of(error)}') from error
    if len(content) > SIZE_LIMIT:
        raise PresetError(f'cannot use "{path}": it is larger than {SIZE_LIMIT:,} bytes')
    return content


def parse_source(content: bytes, path: Path) -> ast.Module:
    """Parse Python code.

    Raises:
        PresetError: it is no Python; the message names file and line.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # compiling tells them once more
            return ast.parse(content, str(path))
    except SyntaxError as error:
        raise PresetError(f"{path}:{error.lineno or 1}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        reason = str(error) or "it is nested too deeply"
        raise PresetError(f'"{path}" is not Python code: {reason}') from error


@cache
def is_installed(name: str, folder: Path) -> bool:
    """Return whether a top-level module is part of Python or of an installed package.

    What lies in the network's own folder or the current one is not installed, even if Python was
    told to search there.
    """
    if name in sys.builtin_module_names or name in sys.stdlib_module_names:
        return True
    for finder in sys.meta_path:
        if getattr(finder, "is_of_user", False):
            continue
        path = _search_path_without(folder) if finder is PathFinder else None
        try:
            found = finder.find_spec(name, path)
        except (ImportError, ValueError, AttributeError):
            continue
        if found and found.loader and found.origin:  # a folder without __init__.py has none
            return True
    return False


def find_elsewhere(name: str, folder: Path) -> str | None:
    """Return where Python would find a top-level module that is not installed, if it would."""
    found = PathFinder.find_spec(name)
    if found is None:
        return None
    places = [found.origin] if found.origin else list(found.submodule_search_locations or ())
    known = _search_path_without(folder)  # of a namespace package without __init__.py
    outside = [place for place in places if found.origin or os.path.dirname(place) not in known]
    return outside[0] if outside else None


@cache
def search_path() -> Sequence[str]:
    """Return where Python searched for modules when this was first asked.

    So what a network's code adds to sys.path later changes nothing.
    """
    return [*filter(None, sys.path)]


@cache
def _search_path_without(folder: Path) -> Sequence[str]:
    own = {_resolve(folder), _resolve(Path())}
    return [each for each in search_path() if _resolve(Path(each)) not in own]


def _resolve(path: Path) -> str:
    """Return the path without links, also of a folder that was removed."""
    try:
        return os.path.realpath(path)
    except OSError:
        return str(path)


def find_networks(content: bytes, path: Path) -> list[str]:
    """Return the names of the classes in a file that derive from nn.Module, in their order."""
    networks: list[str] = []
    for node in _walk_top(parse_source(content, path).body):
        if isinstance(node, ast.ClassDef) and any(
            _last_name(base) in {"Module", "Sequential", "LightningModule", *networks}
            for base in node.bases
        ):
            networks.append(node.name)
    return list(dict.fromkeys(networks))


def find_definition(content: bytes, path: Path, name: str) -> int | None:
    """Return the line where a class, function or variable of that name is defined."""
    for node in ast.walk(parse_source(content, path)):
        match node:
            case ast.ClassDef() | ast.FunctionDef() if node.name == name:
                return node.lineno
            case ast.Assign() if name in map(_last_name, node.targets):
                return node.lineno
    return None


def _walk_top(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a file is imported, in blocks too."""
    waiting = [*reversed(body)]
    while waiting:  # every elif is a block in the one before it: thousands would be too deep
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            handlers = node.handlers if isinstance(node, ast.Try) else []
            blocks = (node.body, getattr(node, "orelse", []), *(h.body for h in handlers))
            waiting += reversed([inner for block in blocks for inner in block])


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Attribute():
            return node.attr
        case ast.Name():
            return node.id
        case _:
            return ""


def _find_imports(folder: Path, place: str, tree: ast.Module) -> list[str]:
    """Return the files in `folder` that the import statements of the file at `place` name."""
    package = tuple(place.split("/")[:-1])
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        for module in _name_modules(node, package, folder):
            for length in range(1, len(module) + 1):
                stem = "/".join(module[:length])
                for file in (f"{stem}/__init__.py", f"{stem}.py"):  # as Python prefers
                    if _is_file(folder / file):
                        found[file] = None
    return list(found)


def _name_modules(node: ast.AST, package: tuple[str, ...], folder: Path) -> list[tuple[str, ...]]:
    """Return the modules that a statement may import, each as its path below the folder."""
    match node:
        case ast.Import():
            modules = [tuple(alias.name.split(".")) for alias in node.names]
        case ast.ImportFrom(level=0, module=str(module)):
            base = tuple(module.split("."))
            modules = [(*base, alias.name) for alias in node.names]
        case ast.ImportFrom():
            base = package[: len(package) - node.level + 1]
            if node.level - 1 > len(package):
                return []  # above the folder: refused when it is imported
            if node.module:
                base = (*base, *node.module.split("."))
            return [(*base, alias.name) for alias in node.names]
        case _:
            return []
    return [module for module in modules if not is_installed(module[0], folder)]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
