"""What a callable needs and this Python does not have."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version


@dataclass(frozen=True, slots=True)
class Unmet:
    """A requirement that this Python does not meet.

    Attributes:
        requirement: As the declaration says it: `requests==2.32.3`.
        found: The version that is installed; empty where there is none.
    """

    requirement: str
    found: str

    def __str__(self) -> str:
        return f"{self.requirement} ({f'{self.found} is installed' if self.found else 'it is not installed'})"


def unmet(requirements: Iterable[str]) -> list[Unmet]:
    """Returns the requirements that this Python does not meet: a package that is missing, or of another version.

    >>> unmet(["no-such-package==1.0"])
    [Unmet(requirement='no-such-package==1.0', found='')]
    """
    from packaging.requirements import Requirement

    found = []
    for said in requirements:
        wanted = Requirement(said)
        try:
            installed = version(wanted.name)
        except PackageNotFoundError:
            installed = ""
        if not installed or not wanted.specifier.contains(installed, prereleases=True):
            found.append(Unmet(said, installed))
    return found


def refusal(lacking: Sequence[Unmet], otherwise: str = "") -> str:
    """Returns what is wrong and what to do, as the end of a sentence about a callable.

    Args:
        lacking: What is not met.
        otherwise: What else people can do.
    """
    needed = ", ".join(map(str, lacking))
    install = " ".join(["pip install", *(shlex.quote(each.requirement) for each in lacking)])
    return f"its Python lacks {needed}. Run `{install}` here{otherwise}"
