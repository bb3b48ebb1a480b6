"""Tests mirror the rooms of ``harness``."""
