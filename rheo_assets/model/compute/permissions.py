"""What a target's role may do on AWS besides reading its inputs and writing its output."""

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
        for name, said in (("resource", resource), ("action", action)):
            words = (said,) if isinstance(said, str) else tuple(said) if isinstance(said, Iterable) else ()
            if not words or not all(isinstance(word, str) and word for word in words):
                raise DeclarationError("Permission", f"{name} is {said!r}", "A text or a list of texts")
            object.__setattr__(self, name, words)
        strange = [word for word in self.action if word != "*" and ":" not in word]
        if strange:
            raise DeclarationError("Permission", f"action {strange[0]!r} names no service", "As in 's3:GetObject'")


def read_permissions(said: Iterable[Permission] | None, where: str) -> tuple[Permission, ...]:
    """Returns the permissions of a target.

    Raises:
        DeclarationError: Something else is among them.
    """
    given = () if said is None else said
    permissions = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    for permission in permissions:
        if not isinstance(permission, Permission):
            raise DeclarationError(where, f"permission {permission!r}", "Give Permission(resource=[…], action=[…])")
    return permissions
