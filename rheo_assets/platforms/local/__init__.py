"""The local platform: storage in plain folders; Spark, Presto SQL and functions in child processes."""
