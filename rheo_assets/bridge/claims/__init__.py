"""Who runs what, and who is alive: claims, seats and heartbeats."""
