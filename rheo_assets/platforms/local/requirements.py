"""The requirements of a callable that this Python does not meet."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version


@dataclass(frozen=True, slots=True)
class Unmet:
    """A requirement that this Python does not meet.

    Attributes:
        requirement: The declared requirement: `requests==2.32.3`.
        found: The installed version; empty if the package is not installed.
    """

    requirement: str
    found: str

    def __str__(self) -> str:
        return f"{self.requirement} ({f'{self.found} is installed' if self.found else 'not installed'})"


def unmet(requirements: Iterable[str]) -> list[Unmet]:
    """Returns the requirements that this Python does not meet: the package is missing or has another version.

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
    """Returns the problem and the remedy, as the end of a sentence about a callable.

    Args:
        lacking: The unmet requirements.
        otherwise: Another remedy.
    """
    needed = ", ".join(map(str, lacking))
    install = " ".join(["pip install", *(shlex.quote(each.requirement) for each in lacking)])
    return f"its Python lacks {needed}. Run `{install}` here{otherwise}"
