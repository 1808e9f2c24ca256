"""Runnable examples. A test runs each one."""
