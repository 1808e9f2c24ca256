"""The packages that an inlined callable needs, each with its version."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from rheo_assets.errors import DeclarationError

# A name, extras and a version; pip options, URLs and ranges are not allowed.
_PINNED: Final = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[A-Za-z0-9._,\s-]+\])?\s*==\s*[A-Za-z0-9][A-Za-z0-9.!+_-]*"
)


def read_requirements(declared: Sequence[str] | None, where: str) -> tuple[str, ...]:
    """Returns the requirements of a callable.

    Raises:
        DeclarationError: A requirement is not a name with a version, or two name the same package.
    """
    if declared is None:
        return ()
    if not isinstance(declared, list | tuple):
        raise DeclarationError(where, f"requirements is {declared!r}", "Give a list, such as ['requests==2.32.3']")
    names: dict[str, str] = {}
    for requirement in declared:
        hit = _PINNED.fullmatch(requirement) if isinstance(requirement, str) else None
        if hit is None:
            raise DeclarationError(
                where, f"requirement {requirement!r} is not a package with its version", "Pin it: 'package==1.2.3'"
            )
        name = re.sub(r"[-_.]+", "-", hit["name"]).lower()  # as pip compares names
        if name in names:
            raise DeclarationError(
                where, f"requires {hit['name']} twice: {names[name]!r} and {requirement!r}", "Remove one"
            )
        names[name] = requirement
    return tuple(declared)
