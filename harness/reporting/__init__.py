"""Placeholder docstring, to be written by its room."""
