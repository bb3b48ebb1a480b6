"""The reporters, one per file; each defines ``REPORTER``."""
