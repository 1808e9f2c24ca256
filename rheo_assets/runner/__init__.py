"""Runs one compute target of one execution: resolved inputs -> user code -> output.

Nothing in this package knows Dagster: the same modules run in the local Spark worker, in a child process and, shipped
unchanged, inside a Glue or EMR job.
"""
