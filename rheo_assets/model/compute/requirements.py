"""The packages that an inlined callable needs, each with its version."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from rheo_assets.errors import DeclarationError

# A name, extras, a version: no option of pip, no address, no range.
_PINNED: Final = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[A-Za-z0-9._,\s-]+\])?\s*==\s*[A-Za-z0-9][A-Za-z0-9.!+_-]*"
)


def read_requirements(said: Sequence[str] | None, where: str) -> tuple[str, ...]:
    """Returns the requirements of a callable.

    Raises:
        DeclarationError: One is not a name with its version, or two name one package.
    """
    if said is None:
        return ()
    if not isinstance(said, list | tuple):
        raise DeclarationError(where, f"requirements is {said!r}", "Give a list, such as ['requests==2.32.3']")
    names: dict[str, str] = {}
    for requirement in said:
        hit = _PINNED.fullmatch(requirement) if isinstance(requirement, str) else None
        if hit is None:
            raise DeclarationError(
                where, f"requirement {requirement!r} is not a package with its version", "Pin it: 'package==1.2.3'"
            )
        name = re.sub(r"[-_.]+", "-", hit["name"]).lower()  # as pip compares names
        if name in names:
            raise DeclarationError(
                where, f"requires {hit['name']} twice: {names[name]!r} and {requirement!r}", "Leave one out"
            )
        names[name] = requirement
    return tuple(said)
