"""Runs one compute target of one execution: resolved inputs -> user code -> output.

Nothing in this package depends on Dagster: the same modules run in the local Spark worker, in a child process and,
uploaded unchanged, in a Glue or EMR job.
"""
