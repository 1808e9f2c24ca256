"""Logging for scripts and notebooks."""

from __future__ import annotations

import logging


def init_basic_logging(root_level: int = logging.INFO) -> logging.Logger:
    """Writes log lines to standard error and returns this library's logger.

    Args:
        root_level: The lowest level that is shown.
    """
    logging.basicConfig(level=root_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("py4j", "alembic", "sqlalchemy", "matplotlib"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return logging.getLogger("rheo_assets")
