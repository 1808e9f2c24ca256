"""Compute targets as JSON. An inlined callable is not opened until it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rheo_assets.errors import DeclarationError, StateError
from rheo_assets.model.compute.permissions import Permission
from rheo_assets.model.compute.plain import plain
from rheo_assets.model.compute.targets import Batch, Inlined, NoOp, NOOPCompute, StoredCallable, Target
from rheo_assets.model.compute.vocabulary import Lang
from rheo_assets.model.recording.functions import Store, dump_blob


def dump_target(target: Target, node_id: str, store: Store) -> dict[str, Any]:
    """Returns one target of a node.

    Raises:
        DeclarationError: JSON cannot hold a hint or an argument.
    """
    where = f"node '{node_id}'"
    if isinstance(target, NoOp):
        fields: dict[str, Any] = {"target": "noop"}
    elif isinstance(target, Inlined):
        fields = {
            "target": "inlined",
            **dump_blob(target.callable, node_id, store),
            "timeout": plain(target.timeout, where, "timeout of InlinedCompute"),
            "requirements": list(target.requirements),
            **_common(target),
        }
    elif isinstance(target, Batch):
        fields = {
            "target": "batch",
            "lang": str(target.lang),
            "code": plain(target.code, where, "code"),
            "hints": dict(target.hints),
            "args": dict(target.args),
            "libraries": list(target.libraries),
            **_common(target),
        }
    else:
        raise DeclarationError(where, f"{target.title} is a {type(target).__name__}, which cannot be recorded")
    return {**fields, "retry_count": target.retry_count}


def load_target(fields: Mapping[str, Any]) -> Target:
    """Returns the target of `dump_target`.

    Raises:
        StateError: The kind of target is unknown.
    """
    kind, retries = fields["target"], fields["retry_count"]
    if kind == "noop":
        return NoOp(retry_count=retries) if retries else NOOPCompute
    if kind == "inlined":
        return Inlined(
            StoredCallable(fields["blob"], fields["callable"]),
            fields["timeout"],
            _permissions(fields),
            tuple(fields["requirements"]),
            fields["engine"],
            retry_count=retries,
        )
    if kind == "batch":
        return Batch(
            fields["code"],
            _language(fields["lang"]),
            fields["hints"],
            fields["args"],
            tuple(fields["libraries"]),
            _permissions(fields),
            fields["engine"],
            retry_count=retries,
        )
    raise StateError(f"compute target {kind!r} is not known")


def _common(target: Batch | Inlined) -> dict[str, Any]:
    return {
        "engine": target.engine,
        "permissions": [
            {"resource": list(permission.resource), "action": list(permission.action)}
            for permission in target.permissions
        ],
    }


def _permissions(fields: Mapping[str, Any]) -> tuple[Permission, ...]:
    return tuple(Permission(each["resource"], each["action"]) for each in fields["permissions"])


def _language(text: str) -> str:
    return Lang(text) if text in {str(member) for member in Lang} else text
