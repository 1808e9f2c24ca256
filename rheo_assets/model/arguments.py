"""Rejects unknown arguments of a declaration, and says what to write instead.

Dagster and RheocerOS have arguments that this library does not support. None of them may be ignored silently.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from rheo_assets.errors import DeclarationError

PRESENTATION: Final = ("description", "owners", "tags", "group", "metadata")
"""The arguments of every node that the catalog shows."""

_ON_AN_INPUT = "It belongs to an input: inputs=[orders['*'][:-7].{}]"
_BY_EVENTS = "A node runs when the events of its inputs arrive: remove it"
_BY_LOCATION = "Set it in the Dagster instance or the code location: remove it"
_ADVICE: Final[Mapping[str, str]] = {
    "range_check": _ON_AN_INPUT.format("range_check(True)"),
    "nearest": _ON_AN_INPUT.format("nearest()"),
    "ref": _ON_AN_INPUT.format("ref"),
    **dict.fromkeys(("automation_condition", "auto_materialize_policy", "freshness_policy"), _BY_EVENTS),
    "backfill_policy": "A backfill runs contiguous partitions in one run: remove it",
    "retry_policy": "Give the compute target a retry_count: InlinedCompute(function, retry_count=2)",
    **dict.fromkeys(("pool", "op_tags", "hooks", "config_schema"), _BY_LOCATION),
    **dict.fromkeys(("resource_defs", "required_resource_keys"), "Give resources to app.definitions(resources={…})"),
    **dict.fromkeys(("io_manager_key", "io_manager_def"), "A node writes its own partition: remove it"),
    "partitions_def": "Write output_dimension_spec={…}",
    **dict.fromkeys(("deps", "ins", "non_argument_deps"), "List what it reads in inputs=[…]"),
    **dict.fromkeys(("kinds", "compute_kind"), "Kinds follow from the node's engines and format: remove it"),
    "group_name": "Write group=",
    "key_prefix": "A node's key is [application, id]: remove it",
    "code_version": "The library compares the code itself: remove it",
    "check_specs": "Attach @dg.asset_check to the node's asset key",
    "output_retention": "Data is kept until you delete it: use a lifecycle rule of the bucket",
    "security_conf": "Encryption is a setting of the platform: AwsPlatform(kms_key=…)",
    **dict.fromkeys(("execution_hook", "pending_node_hook"), "Hooks come with a later release: remove it"),
}


def check_extras(where: str, extras: Mapping[str, Any], arguments: tuple[str, ...]) -> None:
    """Checks the extra arguments of a declaration.

    Args:
        where: The node, for the message.
        extras: The given arguments by name; names that start with `_` are internal.
        arguments: The arguments that the declaration accepts in addition to `PRESENTATION`.

    Raises:
        DeclarationError: A name is not an argument, or `metadata` is not a dict with string keys.
    """
    for name in extras:
        if name in PRESENTATION or name in arguments or name.startswith("_"):
            continue
        raise DeclarationError(where, f"has no argument {name!r}", _remedy(name, (*arguments, *PRESENTATION)))
    metadata = extras.get("metadata")
    if metadata is not None and not (isinstance(metadata, Mapping) and all(isinstance(key, str) for key in metadata)):
        raise DeclarationError(where, f"metadata is {metadata!r}", 'Give a dict: metadata={"runbook": "https://…"}')


@lru_cache(maxsize=1024)
def _remedy(name: str, arguments: tuple[str, ...]) -> str:
    if name in _ADVICE:
        return _ADVICE[name]
    near = next(iter(difflib.get_close_matches(name, arguments, n=1, cutoff=0.8)), None)
    if near is not None:
        return f"Did you mean {near!r}?"
    return f"To show it in the catalog, write metadata={{{name!r}: …}}"
