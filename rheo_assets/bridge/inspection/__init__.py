"""What ran, what waits, and why."""
