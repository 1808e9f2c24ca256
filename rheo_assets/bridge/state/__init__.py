"""The JSON that an application stores next to its data: its state, and the recorded declaration."""
