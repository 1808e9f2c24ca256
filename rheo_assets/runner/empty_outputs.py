"""Keeps the columns of an output without rows, if the format of its files does not contain them.

A json file without rows is empty, and so is a csv file without rows and header. The engine that writes such an output
also writes a hidden file with the columns, in the JSON form of a Spark schema. Every engine reads it if a partition
has no rows.
"""

from __future__ import annotations

EMPTY_SCHEMA = ".schema"
WITHOUT_TYPES = frozenset({"json", "csv"})
