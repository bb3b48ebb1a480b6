"""Can it sell more than it has? A verification harness for oversell safety on Postgres.

The rooms, and who may import whom, are described in ``docs/architecture.md``. People who write
scenarios and targets need only :mod:`harness.model`.
"""

__version__ = "0.1.0"
