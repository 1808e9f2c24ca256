"""The sensors of an application, which the daemon evaluates, and the runs that they request."""
