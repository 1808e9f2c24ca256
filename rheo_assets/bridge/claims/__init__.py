"""Claims of executions, snapshot slots of drivers, and heartbeats of processes."""
