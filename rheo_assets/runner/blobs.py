"""Turns a callable into a blob that another process can run, and back.

A blob is a header, one line of JSON, and then a cloudpickle. The header is checked before anything is unpickled:
bytecode of another Python minor version, or a truncated blob, would otherwise crash or run something else.
"""

from __future__ import annotations

import hashlib
import json
import site
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from rheo_assets.errors import UnusableCallable

BLOB_VERSION = 1
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

_MAX_HEADER = 4096
_OWN_PACKAGE = __name__.partition(".")[0]
_registry = threading.Lock()  # cloudpickle's registry is global: one dump at a time


def dump_callable(fn: Callable[..., Any], node: str = "") -> bytes:
    """Returns the callable as a blob that does not need its source file.

    The blob contains the code of modules that are not installed (scripts, notebooks, `definitions/`). Installed
    packages are imported again where the blob runs. The same object always gives the same bytes, also in another
    process, unless it holds classes of such modules: these get a new identity in each process.

    Args:
        fn: A function, lambda, bound method, `functools.partial` or object with `__call__`.
        node: The user's node id, for messages.

    Raises:
        UnusableCallable: `fn` is not callable, or holds something that cannot be pickled.
    """
    import cloudpickle

    from rheo_assets.runner.canonical import canonical

    subject = f"node '{node}'" if node else "the compute target"
    name = callable_name(fn)
    if not callable(fn):
        raise UnusableCallable(
            subject, f"{fn!r} is not callable", "give InlinedCompute a function of (inputs, output, params)"
        )
    try:
        with _user_modules_by_value():
            content = canonical(cloudpickle.dumps(fn))
    except Exception as error:  # pickling runs the reducers of arbitrary objects
        raise UnusableCallable(
            subject,
            f"its callable '{name}' cannot be recorded{_culprit(fn, error)}",
            "create such objects inside the function, or pass them as values",
        ) from error
    header = {
        "version": BLOB_VERSION,
        "python": PYTHON,
        "cloudpickle": ".".join(cloudpickle.__version__.split(".")[:2]),
        "name": name,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return json.dumps(header).encode() + b"\n" + content


def load_callable(blob: bytes) -> Callable[..., Any]:
    """Returns the callable of a blob.

    Opening a blob runs code: open only blobs of the application's own storage.

    Raises:
        UnusableCallable: The blob is damaged, was written by another Python minor version, or needs a missing package.
    """
    header, content = _split(blob)
    name = f"callable '{header.get('name', '?')}'"
    recorded = header.get("python")
    if recorded != PYTHON:
        raise UnusableCallable(
            name,
            f"the blob was recorded by Python {recorded}, this is {PYTHON}",
            f"run it with Python {recorded}, or activate the application again from Python {PYTHON}",
        )
    if hashlib.sha256(content).hexdigest() != header.get("sha256"):
        raise UnusableCallable(name, "the blob is damaged", "activate the application again")
    import pickle

    try:
        loaded = pickle.loads(content)
    except ImportError as error:
        raise UnusableCallable(
            name,
            f"it needs the module '{error.name}', which cannot be imported here ({error})",
            "install it in this environment",
        ) from error
    except Exception as error:  # unpickling runs the constructors of arbitrary objects
        raise UnusableCallable(
            name,
            f"the blob cannot be opened ({type(error).__name__}: {error})",
            f"activate the application again with the packages of this environment "
            f"(the blob was recorded with cloudpickle {header.get('cloudpickle')})",
        ) from error
    if not callable(loaded):
        raise UnusableCallable(name, f"the blob holds a {type(loaded).__name__}", "activate the application again")
    return loaded  # type: ignore[no-any-return]


def blob_key(blob: bytes) -> str:
    """Returns the content address of a blob: its sha256 in hex."""
    return hashlib.sha256(blob).hexdigest()


def callable_name(fn: object) -> str:
    """Returns a readable name of the callable: `module.qualname`, without a surrounding `functools.partial`."""
    inner = getattr(fn, "func", fn)
    named = inner if hasattr(inner, "__qualname__") else type(inner)
    return f"{named.__module__}.{named.__qualname__}"


def _split(blob: bytes) -> tuple[dict[str, Any], bytes]:
    line, newline, _ = blob[:_MAX_HEADER].partition(b"\n")
    try:
        header = json.loads(line) if newline else None
    except ValueError:
        header = None
    if not isinstance(header, dict) or "version" not in header:
        raise UnusableCallable("a callable's blob", "its first line is not a header", "activate the application again")
    if header["version"] != BLOB_VERSION:
        raise UnusableCallable(
            f"callable '{header.get('name', '?')}'",
            f"its blob has version {header['version']!r}, this library reads version {BLOB_VERSION}",
            "activate the application again with this version of rheo-assets",
        )
    return header, blob[len(line) + 1 :]


@contextmanager
def _user_modules_by_value() -> Iterator[None]:
    """Makes cloudpickle include the code of every imported module that other machines do not have."""
    from cloudpickle import cloudpickle

    with _registry:
        already = cloudpickle.list_registry_pickle_by_value()
        added = [module for module in list(sys.modules.values()) if _is_user_module(module, already)]
        for module in added:
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in added:
                cloudpickle.unregister_pickle_by_value(module)


def _is_user_module(module: object, already: set[str]) -> bool:
    if not isinstance(module, ModuleType):
        return False  # some packages put lazy objects in sys.modules
    name, file = module.__name__, module.__dict__.get("__file__")
    if name in already or name == "__main__" or sys.modules.get(name) is not module or not isinstance(file, str):
        return False  # cloudpickle includes __main__ by value anyway
    if name.partition(".")[0] == _OWN_PACKAGE or not file.endswith(".py"):
        return False
    return not file.startswith(_installed_prefixes()) and not {"site-packages", "dist-packages"} & set(Path(file).parts)


def _installed_prefixes() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    places = {paths[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    if site.ENABLE_USER_SITE:
        places.add(site.getusersitepackages())
    return tuple(f"{place}/" for place in places)


def _culprit(fn: object, error: Exception) -> str:
    """Returns a phrase that names the function's variable that cannot be pickled; empty if it is not its own."""
    import cloudpickle

    reason = f" ({type(error).__name__}: {error})"
    for name, value in _held(getattr(fn, "func", fn)):
        try:
            with _user_modules_by_value():
                cloudpickle.dumps(value)
        except Exception:
            return f": it uses '{name}', a {type(value).__module__}.{type(value).__qualname__}{reason}"
    return reason


def _held(function: Any) -> Iterator[tuple[str, object]]:
    """Yields the outer variables that the function's body reads."""
    code = getattr(function, "__code__", None)
    if code is None:
        return
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        with suppress(ValueError):  # a cell that is not filled yet
            yield name, cell.cell_contents
    yield from ((name, function.__globals__[name]) for name in code.co_names if name in function.__globals__)
