"""Inlined Python on Lambda, or in a process beside the run."""
