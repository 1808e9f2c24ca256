"""Compute targets: the code of a node, its language and its hints."""
