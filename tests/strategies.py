"""Hypothesis strategies for dimensions, values, windows and specs, and how many examples a costly property looks at."""

from __future__ import annotations

from datetime import datetime

from hypothesis import settings
from hypothesis import strategies as st

from rheo_assets.model.dimensions import DatetimeGranularity, Dimension, DimensionSpec, DimensionType
from rheo_assets.model.filters import ANY, Exactly, Window


def examples(percent: int) -> settings:
    """Returns settings with this many per cent of the profile's examples, so that `make fast` looks at few here too."""
    return settings(max_examples=settings.default.max_examples * percent // 100)


_G = DatetimeGranularity
FORMATS = {
    _G.YEAR: ["%Y", "%Y-%m-%d"],
    _G.MONTH: ["%Y-%m", "%Y%m", "%Y-%m-%d", "year=%Y/month=%m"],
    _G.WEEK: ["%Y-%m-%d", "%Y%m%d"],
    _G.DAY: ["%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%Y-%m-%d %H-%M", "%Y/%m/%d", "%Y-%-m-%-d"],
    _G.HOUR: ["%Y-%m-%d %H", "%Y%m%d%H", "%Y-%m-%dT%H:%M", "%Y/%m/%d/%H"],
    _G.MINUTE: ["%Y-%m-%d %H:%M", "%Y-%m-%d %H-%M", "%Y%m%d%H%M%S"],
    _G.SECOND: ["%Y-%m-%d %H:%M:%S", "%Y%m%dT%H%M%S"],
}
moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))
granularities = st.sampled_from(DatetimeGranularity)
texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="/\\%"), min_size=1
).filter(lambda text: text not in {".", "..", "*"} and not text.startswith("_:"))
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)


@st.composite
def datetimes(draw: st.DrawFn, name: str = "day") -> Dimension:
    """DATETIME dimensions of every granularity."""
    granularity = draw(granularities)
    form = draw(st.sampled_from(FORMATS[granularity]))
    return Dimension(name, DimensionType.DATETIME, format=form, granularity=granularity)


def longs(name: str = "n") -> st.SearchStrategy[Dimension]:
    """LONG dimensions, padded or not."""
    digits = st.none() | st.integers(1, 6)
    return digits.map(lambda width: Dimension(name, DimensionType.LONG, digits=width))


def strings(name: str = "text") -> st.SearchStrategy[Dimension]:
    """STRING dimensions, folded or not."""
    kinds = st.tuples(st.sampled_from([None, str.lower, str.upper]), st.booleans())
    return kinds.map(lambda k: Dimension(name, DimensionType.STRING, transform=k[0], insensitive=k[1]))


ordered = datetimes() | longs()
dimensions = ordered | strings()


def values(dimension: Dimension) -> st.SearchStrategy[object]:
    """Values of a dimension, in canonical form."""
    if dimension.type is DimensionType.DATETIME:
        return moments.map(dimension.read)
    if dimension.type is DimensionType.LONG:
        return st.integers(-(10**9), 10**9)
    stable = texts.map(lambda text: text.upper().lower())  # so that changing case twice changes nothing
    return stable.filter(lambda text: text.upper().lower() == text and is_name(text)).map(dimension.read)


def is_name(text: str) -> bool:
    """Returns whether a file can be called this, in upper case too, which can be longer."""
    return max(len(text.encode()), len(text.upper().encode())) <= 255


@st.composite
def valued(draw: st.DrawFn, kinds: st.SearchStrategy[Dimension] = dimensions) -> tuple[Dimension, object]:
    """A dimension and one of its values."""
    dimension = draw(kinds)
    return dimension, draw(values(dimension))


@st.composite
def specs(draw: st.DrawFn, most: int = 4) -> DimensionSpec:
    """Specs of up to `most` dimensions."""
    chosen = draw(st.lists(names, max_size=most, unique=True))
    return DimensionSpec(tuple(draw(datetimes(name) | longs(name) | strings(name)) for name in chosen))


windows = st.builds(Window, st.integers(-50, 50), st.integers(1, 40), st.sampled_from([-1, 1])).map(
    lambda window: Window(window.shift, window.length, -1 if window.length == 1 else window.step)
)


def constraints(dimension: Dimension) -> st.SearchStrategy[object]:
    """Constraints on one dimension."""
    kinds = st.just(ANY) | values(dimension).map(Exactly)
    return kinds | windows if dimension.has_order else kinds
