"""The event loop: its turns, its plans, and the sessions of scripts and notebooks that drive it."""
