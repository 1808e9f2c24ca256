"""Presto SQL on Athena."""
