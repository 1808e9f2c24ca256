"""What a user declares, as frozen values that are checked when they are built. Standard library only."""
