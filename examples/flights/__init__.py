"""The flights pipeline from outside: landing, the demo, and the UI."""
