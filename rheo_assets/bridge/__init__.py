"""The bridge to Dagster: the only package that imports it."""
