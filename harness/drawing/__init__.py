"""How the stateful engine thinks: programs and schedules drawn by Hypothesis, run one phase after another.

``vocabulary`` and ``switches`` are pure: what can be drawn, and what a drawn schedule means. ``machine`` is
the state machine, ``walk`` one of its examples on an open sale, ``bridge`` the way from Hypothesis' thread
into the event loop, and ``search`` strings them together. ``profiles`` says how hard it tries.
"""
