"""Trino's grammar: from text to a tree whose nodes know where they stand in the text."""
