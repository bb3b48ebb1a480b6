"""Locust runs here only as a process of its own: it patches whatever it is imported into."""
