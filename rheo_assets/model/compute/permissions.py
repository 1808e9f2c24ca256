"""Extra permissions of a target's role on AWS, in addition to reading its inputs and writing its output."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rheo_assets.errors import DeclarationError


@dataclass(frozen=True, slots=True)
class Permission:
    """Actions on resources, as in one statement of an IAM policy.

    Attributes:
        resource: ARNs, with IAM's wildcards.
        action: Actions, such as `s3:GetObject`.

    Example:
        >>> Permission(["arn:aws:s3:::models/*"], ["s3:GetObject"]).action
        ('s3:GetObject',)
    """

    resource: tuple[str, ...]
    action: tuple[str, ...]

    def __init__(self, resource: Iterable[str] | str, action: Iterable[str] | str) -> None:
        for name, given in (("resource", resource), ("action", action)):
            words = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else ()
            if not words or not all(isinstance(word, str) and word for word in words):
                raise DeclarationError("Permission", f"{name} is {given!r}", "Give a string or a list of strings")
            object.__setattr__(self, name, words)
        strange = [word for word in self.action if word != "*" and ":" not in word]
        if strange:
            raise DeclarationError(
                "Permission", f"action {strange[0]!r} does not name a service", "Write e.g. 's3:GetObject'"
            )


def read_permissions(declared: Iterable[Permission] | None, where: str) -> tuple[Permission, ...]:
    """Returns the permissions of a target.

    Raises:
        DeclarationError: An element is not a `Permission`.
    """
    given = () if declared is None else declared
    permissions = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    for permission in permissions:
        if not isinstance(permission, Permission):
            raise DeclarationError(where, f"permission {permission!r}", "Give Permission(resource=[…], action=[…])")
    return permissions
