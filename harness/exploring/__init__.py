"""How the explore engine thinks: events, conflicts, the search over schedules, and the conductor of one run.

``events``, ``conflicts``, ``search`` and ``orders`` are pure; ``conductor`` is the one module that waits.
"""
