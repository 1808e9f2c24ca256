"""What the daemon evaluates: the sensors of an application, and the runs that they ask for."""
