"""Faults at every step of a request: enumerated, fired one after another, and what they cost told.

A purchase is a sequence of statements and commits, and a fault is one more step of it. ``docs/faults.md``
says which there are, ``steps`` what a step is, ``fault`` what a fault is and how one more is added.
"""
