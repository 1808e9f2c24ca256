"""The strftime formats of DATETIME dimensions: rendering, parsing, and their path segments."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Final

from rheo_assets.errors import DeclarationError
from rheo_assets.model.dimensions.granularity import DatetimeGranularity, in_utc
from rheo_assets.model.dimensions.segments import fault_in

_SAMPLE: Final = datetime(2021, 11, 22, 13, 14, 15)
_SINGLE_DIGITS: Final = datetime(2021, 3, 4, 5, 6, 7)
_DAYS: Final = "%Y-%m-%d"
_DEFAULTS: Final = {
    DatetimeGranularity.HOUR: "%Y-%m-%d %H",
    DatetimeGranularity.MINUTE: "%Y-%m-%d %H:%M",
    DatetimeGranularity.SECOND: "%Y-%m-%d %H:%M:%S",
}
_FIELDS: Final = (
    (DatetimeGranularity.SECOND, frozenset("STXcfs")),
    (DatetimeGranularity.MINUTE, frozenset("MR")),
    (DatetimeGranularity.HOUR, frozenset("HI")),
    (DatetimeGranularity.DAY, frozenset("djDFxaAuw")),
    (DatetimeGranularity.WEEK, frozenset("UWV")),
    (DatetimeGranularity.MONTH, frozenset("mbB")),
    (DatetimeGranularity.YEAR, frozenset("YyG")),
)
_COMMON: Final = (
    *("%Y-%m-%d", "%Y%m%d", "%Y-%-m-%-d", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d", "%Y_%m_%d"),
    *("%Y-%m", "%Y%m", "%Y", "%Y-%m-%d %H", "%Y-%m-%dT%H", "%Y-%m-%d-%H", "%Y%m%d%H", "%Y-%m-%d %H:%M"),
    *("%Y-%m-%dT%H:%M", "%Y%m%d%H%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y%m%dT%H%M%S", "%Y%m%d%H%M%S"),
)
_UNPADDED: Final = re.compile(r"%(%|-(?=[A-Za-z]))")  # strptime has no %-d, and reads 5 as %d


def settled(name: str, form: str | None, granularity: DatetimeGranularity | None) -> tuple[str, DatetimeGranularity]:
    """Returns the format and granularity of a dimension; one that is not declared follows from the other.

    Raises:
        DeclarationError: The format shows too little, cannot be read back, or is not a path.
    """
    subject = f"dimension '{name}'"
    if form is None:
        granularity = granularity or DatetimeGranularity.DAY
        return _default(granularity), granularity
    finest = _finest_field(form) if isinstance(form, str) else None
    if finest is None:
        raise DeclarationError(subject, f"format {form!r} has no date field", "Write e.g. '%Y-%m-%d'")
    granularity = granularity or finest
    if finest.fineness < granularity.fineness:
        raise DeclarationError(
            subject,
            f"format {form!r} shows no more than the {finest} but the granularity is {granularity}",
            f"Use a format such as {_default(granularity)!r}, or granularity {finest}",
        )
    _check_path(subject, form)
    _check_readable(subject, form, granularity)
    return form, granularity


def shown(form: str, moment: datetime) -> str:
    """Returns the moment in a format."""
    # strftime does not pad %Y before the year 1000, and strptime cannot read that
    return moment.strftime(form if moment.year >= 1000 else form.replace("%Y", f"{moment.year:04d}"))


def read(form: str, text: str) -> datetime | None:
    """Returns the moment of a text in the format or in ISO format; None if it is neither."""
    readable = _UNPADDED.sub(lambda hit: "%%" if hit[1] == "%" else "%", form)
    try:
        return in_utc(datetime.strptime(text, readable))  # noqa: DTZ007  # naive means UTC
    except (ValueError, re.error):  # strptime builds a wrong expression from some invalid directives
        return _iso(text)


def _iso(text: str) -> datetime | None:
    try:
        return in_utc(datetime.fromisoformat(text))
    except ValueError:
        return None


def read_short(granularity: DatetimeGranularity, text: str) -> datetime | None:
    """Returns the month or year of a short ISO text, `2024-03` or `2024`, if the granularity is no finer."""
    for form, finest in ((r"\d{4}-\d{2}", DatetimeGranularity.MONTH), (r"\d{4}", DatetimeGranularity.YEAR)):
        if granularity.fineness <= finest.fineness and re.fullmatch(form, text, re.ASCII):
            return _iso(f"{text}-01" if finest is DatetimeGranularity.MONTH else f"{text}-01-01")
    return None


def segments(form: str) -> int:
    """Returns the number of path segments of a format's text: 3 for `%Y/%m/%d`."""
    return form.count("/") + 1


def showing(moment: datetime, text: str) -> str | None:
    """Returns a common format that renders the moment as the text; None if there is none.

    >>> showing(datetime(2024, 3, 1), "20240301")
    '%Y%m%d'
    """
    return next((form for form in _COMMON if shown(form, moment) == text), None)


@lru_cache(maxsize=256)
def shape(form: str) -> str:
    """Returns a regular expression for the texts of a format, with digits and words in the same places.

    >>> shape("%Y/%m/%d")
    '[0-9]{4}/[0-9]{2}/[0-9]{2}'
    """

    def part(hit: re.Match[str]) -> str:
        if hit[0].isdigit():
            return f"[0-9]{{{'1,' if '%-' in form else ''}{len(hit[0])}}}"
        return re.escape(hit[0]) if hit[0] in form else r"[^\W\d_]+"

    return re.sub(r"[0-9]+|[^\W\d_]+|.", part, shown(form, _SAMPLE), flags=re.DOTALL)


def _default(granularity: DatetimeGranularity) -> str:
    return _DEFAULTS.get(granularity, _DAYS)


def _finest_field(form: str) -> DatetimeGranularity | None:
    """Returns the granularity of the smallest field that a format shows."""
    fields = set(re.findall(r"%[-#]?([A-Za-z])", form.replace("%%", "")))
    return next((granularity for granularity, letters in _FIELDS if fields & letters), None)


def _check_path(subject: str, form: str) -> None:
    """Raises if a format's text leads to another folder, or has a `/` that the format does not show."""
    text = shown(form, _SAMPLE)
    parts = text.split("/")
    faults = [f"{part!r} {fault}" for part in parts if (fault := fault_in(part))]
    if len(parts) != segments(form):
        faults.append("one of its fields has a '/'")
    if faults:
        raise DeclarationError(
            subject,
            f"format {form!r} renders {text!r}, which is not a path: {faults[0]}",
            "Write names between '/', as in '%Y/%m/%d', or '-' between the fields",
        )


def _check_readable(subject: str, form: str, granularity: DatetimeGranularity) -> None:
    """Raises if a format does not identify its value: `%H` of a day, `%m` without a year."""
    for sample in (_SAMPLE, _SINGLE_DIGITS):
        value = granularity.truncate(sample)
        text = shown(form, value)
        again = read(form, text)
        if again is None or granularity.truncate(again) != value:
            found = "cannot be read back" if again is None else f"is read as {granularity.truncate(again)}"
            raise DeclarationError(
                subject,
                f"format {form!r} shows {value} as {text!r}, which {found}",
                f"Show the whole {granularity}, as in {_default(granularity)!r}",
            )
