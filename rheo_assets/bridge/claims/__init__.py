"""Who runs what, and who is alive: claims, slots and heartbeats."""
