"""The platform on one machine: storage as plain folders, Spark, Presto SQL and functions in processes of their own."""
