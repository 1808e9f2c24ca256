"""The runner as a zip that a job imports: the very modules that run on a laptop, and nothing else."""

from __future__ import annotations

import ast
import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from rheo_assets.platforms.capabilities import Storage

ENTRY: Final = "rheo_assets.runner.remote"
_PACKAGE: Final = "rheo_assets"
_PIPES: Final = "dagster_pipes"
_DATA: Final = {"rheo_assets.runner.scala_bridge": "scala/*.scala"}  # what a module reads, below its folder
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip knows: the same content is the same zip


@dataclass(frozen=True, slots=True)
class Package:
    """The zip and its name.

    Attributes:
        content: The zip.
        digest: The sha256 of it.
    """

    content: bytes
    digest: str

    def upload(self, storage: Storage, home: str) -> str:
        """Uploads the zip unless it is there, and returns its URI.

        Args:
            storage: Where to.
            home: The URI of the application's bucket or folder.
        """
        uri = f"{home}/runner/{self.digest}.zip"
        storage.create(uri, self.content)
        return uri


@cache
def runner_package() -> Package:
    """Returns the package of this version of the library.

    It holds the runner's entry module, every module of this library that it imports at any depth, wherever the import
    stands, the runner's data files, and `dagster_pipes`, which depends on nothing.
    """
    return packed({**library_files(ENTRY), **package_files(_PIPES)})


def library_files(entry: str) -> dict[str, bytes]:
    """Returns the files of the modules of this library that the entry module needs, by their path in a zip."""
    files = {"rheo_assets/__init__.py": b'"""The runner of rheo_assets, as it is shipped to a job."""\n'}
    for name in sorted(needed_modules(entry)):
        source = _source(name)
        path = name.replace(".", "/")
        files[f"{path}/__init__.py" if source.name == "__init__.py" else f"{path}.py"] = source.read_bytes()
        for data in sorted(source.parent.glob(_DATA[name])) if name in _DATA else ():
            files[f"{path.rpartition('/')[0]}/{data.relative_to(source.parent).as_posix()}"] = data.read_bytes()
    return files


def package_files(name: str) -> dict[str, bytes]:
    """Returns the Python files of an installed package that is one folder."""
    folder = _source(name).parent
    return {f"{name}/{source.name}": source.read_bytes() for source in sorted(folder.glob("*.py"))}


def packed(files: Mapping[str, bytes]) -> Package:
    """Returns the files as a package; the same files are the same package."""
    content = _zipped(files)
    return Package(content, hashlib.sha256(content).hexdigest())


def needed_modules(entry: str) -> set[str]:
    """Returns the modules of this library that a module imports, directly and through others, and itself.

    The library's own `__init__` is not among them: it imports everything.
    """
    needed: set[str] = set()
    ahead = [entry]
    while ahead:
        name = ahead.pop()
        if name not in needed and name != _PACKAGE:
            needed.add(name)
            ahead += [name.rpartition(".")[0], *_imports(name)]
    return needed


def _imports(name: str) -> Iterator[str]:
    for statement in _running(ast.parse(_source(name).read_bytes())):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names if _is_ours(alias.name))
        elif isinstance(statement, ast.ImportFrom) and statement.level == 0 and _is_ours(statement.module or ""):
            yield str(statement.module)
            for alias in statement.names:  # a name of the module, or a module below it
                below = f"{statement.module}.{alias.name}"
                if _has_source(below):
                    yield below


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """Yields what may run: everything but what only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            yield node
            yield from _running(node)


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == _PACKAGE


def _root() -> Path:
    return Path(__file__).parents[2]


def _has_source(name: str) -> bool:
    path = _root().joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _source(name: str) -> Path:
    if not _is_ours(name):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        return Path(spec.origin)
    path = _root().joinpath(*name.split(".")[1:])
    module = path.with_suffix(".py")
    return module if module.is_file() else path / "__init__.py"


def _zipped(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return packed.getvalue()
