"""Recognises a full disk in any library's error, and reports it."""

from __future__ import annotations

from rheo_assets.runner.task import TaskFailure, lasting_failure

_SYSTEM_TEXTS = ("No space left on device", "Disk quota exceeded")  # every library passes on the system's text


def says_full_disk(error: object) -> bool:
    """Returns whether an error, or its text, reports a full disk."""
    return any(words in str(error) for words in _SYSTEM_TEXTS)


def full_disk(node: str, doing: str = "", detail: str = "") -> TaskFailure:
    """Returns the failure of a task that could not write because the disk is full.

    Args:
        node: The node's id.
        doing: What the task was doing, for the message: `while it read 'orders'`.
        detail: The engine's own message.
    """
    where = f" {doing}" if doing else ""
    problem = f"'{node}': the disk is full{where}; nothing was written, and the partition has its previous data"
    return lasting_failure(f"{problem}: free some space and run again", detail)
