"""How the columns of an output without rows are kept, where the format of its files does not tell them.

A json file without rows is empty, and so is a csv file without rows and header. The engine that writes such an output
leaves a hidden file beside it with the columns as Spark writes a schema in JSON. Every engine reads it where a
partition has no rows.
"""

from __future__ import annotations

EMPTY_SCHEMA = ".schema"
WITHOUT_TYPES = frozenset({"json", "csv"})
