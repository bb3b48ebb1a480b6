"""The history checker: whether some order of the calls of one event explains their answers.

It knows the specification and nothing of the laws; ``linearizable`` asks it. ``docs/history.md`` says how it
decides: ``search.py`` exactly, for small histories; ``counters.py`` for any, by having them reduced
(``reduction.py``) to columns and each of these swept (``sweep.py``).
"""
