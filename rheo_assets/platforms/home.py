"""The folder that holds the local files of a platform: the Dagster instance and scratch files."""

from __future__ import annotations

import os
from pathlib import Path


def rheo_home(root: str | Path | None = None) -> Path:
    """Returns the folder as an absolute path: the given one, else `RHEO_HOME`, else `~/.rheo`."""
    return Path(root or os.environ.get("RHEO_HOME") or Path.home() / ".rheo").expanduser().absolute()
