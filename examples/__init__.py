"""Runnable examples; a test runs each."""
