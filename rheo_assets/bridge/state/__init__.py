"""What an application keeps beside its data as JSON: its small state, and the declaration on record."""
