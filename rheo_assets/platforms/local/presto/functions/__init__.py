"""Trino's functions: their signatures, and the DuckDB expression that answers alike."""
