"""What runs inside of a Dagster run: the body of a node's asset."""
