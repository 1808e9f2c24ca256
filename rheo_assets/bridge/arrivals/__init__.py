"""What happened outside, as events: files that arrived, timers that are due."""
