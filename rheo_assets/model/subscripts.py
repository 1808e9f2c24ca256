"""The verbs that nodes and views share: subscripts, flags, and the naming of dimensions for links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rheo_assets.errors import DeclarationError
from rheo_assets.model.dimensions import DatetimeGranularity

if TYPE_CHECKING:
    from rheo_assets.model.signals import Signal, View


@dataclass(frozen=True, slots=True)
class DimensionsOf:
    """Named dimensions of one signal, as links write them: `pdex("region", "day")`."""

    signal: Signal | View
    names: tuple[str, ...]

    @property
    def node(self) -> Signal:
        """The node that has the dimensions."""
        return self.signal.node

    def __str__(self) -> str:
        return f"{self.node.id}({', '.join(self.names)})"

    __repr__ = __str__


class Subscriptable:
    """The verbs that nodes and views share; each returns a new view."""

    __slots__ = ()

    def _view(self) -> View:
        raise NotImplementedError

    def __getitem__(self, value: object) -> View:
        """Constrains the next dimension: `'*'`, a literal, or a range such as `[:-7]`."""
        return self._view().subscripted(value)

    def __iter__(self) -> Any:
        raise TypeError("a signal is subscripted once per dimension; it is not a sequence")

    def __call__(self, *names: str) -> DimensionsOf:
        """Names dimensions for a link."""
        view = self._view()
        for name in names:
            if name not in view.node.spec:
                raise DeclarationError(
                    f"link on '{view.node.id}'", f"it has no dimension {name!r}", f"It has {list(view.node.spec.names)}"
                )
        if not names:
            raise DeclarationError(f"link on '{view.node.id}'", "names no dimension")
        return DimensionsOf(self, names)  # type: ignore[arg-type]  # nodes and views are all that there is

    @property
    def ref(self) -> View:
        """The view that needs no event; its dimensions are inferred."""
        return self._view().with_flags(is_ref=True)

    def reference(self) -> View:
        """Returns `.ref`."""
        return self.ref

    def as_reference(self) -> View:
        """Returns `.ref`."""
        return self.ref

    @property
    def no_event(self) -> View:
        """The same as `.ref`."""
        return self.ref

    def range_check(self, enabled: bool = True) -> View:
        """Returns the view whose execution waits until every partition of the range is ready."""
        if not isinstance(enabled, bool):
            raise DeclarationError(f"{self._view()}.range_check({enabled!r})", "is neither True nor False")
        return self._view().with_flags(checks_range=enabled)

    def check_range(self) -> View:
        """Returns `.range_check(True)`."""
        return self.range_check(True)

    def covering(self, period: DatetimeGranularity | str | None = None) -> View:
        """Returns the view that reads all partitions within a coarser one: the days of a month, the hours of a day.

        Args:
            period: `"MONTH"`, `"WEEK"`, …; a node takes that of its output, or of another input, unless it is given.
        """
        view = self._view()
        if period is None:
            return view.with_flags(is_covering=True)
        try:
            read = DatetimeGranularity(str(period).upper())
        except ValueError:
            known = [str(granularity) for granularity in DatetimeGranularity]
            raise DeclarationError(f"{view}.covering({period!r})", "is not a period", f"One of {known}") from None
        return view.with_flags(is_covering=True, period=read)

    def nearest(self) -> View:
        """Returns the view that reads only the ready partition closest to the tip, and waits for one."""
        return self._view().with_flags(is_nearest=True)

    def latest(self) -> View:
        """Returns `.nearest()`."""
        return self.nearest()
