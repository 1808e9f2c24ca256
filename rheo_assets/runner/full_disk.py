"""A full disk, in whatever error it arrives."""

from __future__ import annotations

from rheo_assets.runner.task import TaskFailure, lasting_failure

_SAID = ("No space left on device", "Disk quota exceeded")  # every library passes on what the system says


def says_full_disk(error: object) -> bool:
    """Returns whether an error, or its text, says that the disk is full."""
    return any(words in str(error) for words in _SAID)


def full_disk(node: str, doing: str = "", detail: str = "") -> TaskFailure:
    """Returns the failure of a task that had no room to write.

    Args:
        node: The node's id.
        doing: What the task was doing, for the message: `while it read 'orders'`.
        detail: The engine's own words.
    """
    where = f" {doing}" if doing else ""
    told = f"'{node}': the disk is full{where}; nothing of it is kept, and the partition has its previous data"
    return lasting_failure(f"{told}: free some space and run again", detail)
