"""Arrivals: new files and due timers, recorded as events."""
