"""What a user declares, as frozen values that are validated when they are built. Standard library only."""
