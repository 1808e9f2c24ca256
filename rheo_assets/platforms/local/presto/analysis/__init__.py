"""What the names of a query stand for, and which function a call means."""
