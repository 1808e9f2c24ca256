"""Typed expressions and queries of Trino in DuckDB's SQL."""
