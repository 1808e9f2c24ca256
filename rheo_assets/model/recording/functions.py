"""Functions of a declaration: built-in ones by name, others as a blob that is opened at the first call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from rheo_assets.errors import StateError, UnusableCallable
from rheo_assets.model.compute.targets import StoredCallable
from rheo_assets.model.links import EQUALS, LOWER, UPPER

Store = Callable[[str, Callable[..., Any]], str]
Load = Callable[[str], Callable[..., Any]]

_NAMED: Final[Mapping[str, Callable[..., Any]]] = {
    "EQUALS": EQUALS,
    "UPPER": UPPER,
    "LOWER": LOWER,
    "str": str,
    "int": int,
}


class RecordedFunction:
    """A link or format function of a recorded declaration, opened at its first call.

    Args:
        digest: The hash of its blob.
        name: The function's own name.
        load: Opens the blob of a hash.
        where: The function's place in the declaration, for messages: `node 'x': link pdex(day) <- f <- timer(time)`.
    """

    __slots__ = ("_function", "_load", "digest", "name", "where")

    def __init__(self, digest: str, name: str, load: Load, where: str = "") -> None:
        self.digest = digest
        self.name = name
        self.where = where
        self._load = load
        self._function: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Calls the function; opens it first if needed."""
        return self.open()(*arguments)

    def open(self) -> Callable[..., Any]:
        """Returns the function itself.

        Raises:
            UnusableCallable: The blob is damaged, or was written by another Python minor version.
            StateError: The blob is missing.
        """
        if self._function is None:
            self._function = self._open()
        return self._function

    def _open(self) -> Callable[..., Any]:
        subject = f"{self.where}: " if self.where else ""
        try:
            return self._load(self.digest)
        except UnusableCallable as error:
            raise UnusableCallable(f"{subject}{error.name}", error.problem, error.remedy) from error
        except FileNotFoundError as error:
            raise StateError(
                f"{subject}the blob {self.digest} of callable '{self.name}' is missing. "
                "Activate the application again from its source"
            ) from error

    @property
    def __name__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RecordedFunction) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return self.name


def dump_function(function: Callable[..., Any], node_id: str, store: Store) -> dict[str, str]:
    """Returns the function of a link or format as JSON."""
    for name, known in _NAMED.items():
        if function is known:
            return {"callable": name}
    if _is_text_method(function):
        return {"callable": f"str.{function.__name__}"}
    return dump_blob(function, node_id, store)


def load_function(fields: Mapping[str, str], load: Load, where: str) -> Callable[..., Any]:
    """Returns the function of `dump_function` without opening it."""
    name = fields["callable"]
    if "blob" in fields:
        return RecordedFunction(fields["blob"], name, load, where)
    if name in _NAMED:
        return _NAMED[name]
    method = getattr(str, name.removeprefix("str."), None)
    if method is None or not _is_text_method(method):
        raise StateError(f"{where}: function {name!r} is not known")
    return method  # type: ignore[no-any-return]


def dump_blob(function: Callable[..., Any], node_id: str, store: Store) -> dict[str, str]:
    """Returns the name and blob hash of a callable; stores it unless it was loaded from a record."""
    if isinstance(function, RecordedFunction | StoredCallable):
        return {"callable": function.name, "blob": function.digest}
    name = getattr(function, "__name__", type(function).__name__)
    return {"callable": str(name), "blob": store(node_id, function)}


def _is_text_method(function: object) -> bool:
    name = getattr(function, "__name__", "")
    return getattr(function, "__objclass__", None) is str and getattr(str, name, None) is function
