"""Activation: checks that a declaration can run here, and records it beside the data."""
