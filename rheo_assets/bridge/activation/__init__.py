"""Activation: checks that a declaration can run here, and records it next to the data."""
