"""Nodes as Dagster assets, and the partition mappings that draw their lineage."""
