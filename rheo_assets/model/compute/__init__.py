"""Compute targets: what a node runs, in which language, with which hints."""
