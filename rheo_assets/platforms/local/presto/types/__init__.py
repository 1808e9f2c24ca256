"""Trino's types: their names, what converts to what, and how DuckDB stores them."""
