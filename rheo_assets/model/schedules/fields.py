"""One field of a cron expression: values, ranges and steps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_MONTH_NAMES: Final = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"
_MONTHS: Final = {name: number for number, name in enumerate(_MONTH_NAMES.split(), 1)}
_WEEKDAYS: Final = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a cron expression: name, smallest and largest number, value names, and whether a range may wrap."""

    name: str
    low: int
    high: int
    names: Mapping[str, int] = field(default_factory=dict)
    wraps: bool = True

    @property
    def form(self) -> str:
        """The accepted values, for messages."""
        names = f" or {next(iter(self.names))}-{list(self.names)[-1]}" if self.names else ""
        return f"{self.low}-{self.high}{names} with , - * /"

    def values(self, spec: str, text: str) -> tuple[int, ...]:
        """Returns the numbers of a list of values, ranges and steps."""
        return tuple(sorted({value for part in spec.split(",") for value in self.part(part, text)}))

    def part(self, part: str, text: str) -> set[int]:
        """Returns the numbers of one value, range or step."""
        base, slash, step = part.partition("/")
        if slash and (not step.isdigit() or int(step) < 1):
            raise self.wrong(part, text, "the step after / must be a whole number of at least 1")
        start, dash, end = base.partition("-")
        if base == "*":
            low, high = self.low, self.high
        else:
            low = self.number(start, part, text)
            high = self.number(end, part, text) if dash else self.high if slash else low
        if low > high and not self.wraps:
            raise self.wrong(part, text, f"the range ends before it starts: write {end}-{start}")
        span = self.high - self.low + 1
        # AWS's own example: 20-2 in the hours field is 20 to 23 and 0 to 2 of the same days.
        reached = range(low, high + 1 if low <= high else high + span + 1, int(step) if slash else 1)
        return {(value - self.low) % span + self.low for value in reached}

    def number(self, word: str, part: str, text: str) -> int:
        """Returns one value, by number or by name."""
        if word in self.names:
            return self.names[word]
        if not re.fullmatch(r"[0-9]{1,4}", word):
            raise self.wrong(part, text, f"{word!r} is not a value")
        if not self.low <= int(word) <= self.high:
            hint = "; Sunday is 1" if self.name == "day-of-week" else ""
            raise self.wrong(part, text, f"{word} is not between {self.low} and {self.high}{hint}")
        return int(word)

    def wrong(self, part: str, text: str, why: str) -> ValueError:
        """Returns the error for an invalid part of the field."""
        return ValueError(f"the {self.name} field of {text!r} has {part!r}: {why}. It takes {self.form}")


MINUTES: Final = Field("minutes", 0, 59)
HOURS: Final = Field("hours", 0, 23)
MONTH_DAY: Final = Field("day-of-month", 1, 31)
MONTH: Final = Field("month", 1, 12, _MONTHS)
WEEK_DAY: Final = Field("day-of-week", 1, 7, _WEEKDAYS)
YEAR: Final = Field("year", 1970, 2199, wraps=False)
