"""The shop beside this file in a test suite of its own: ``pytest examples``.

One line makes a test of every scenario and engine. ``docs/pytest.md`` says what they do and how to choose.
"""

from examples.asyncpg_shop import Shop
from harness.testing import gate

test_tickets = gate(Shop)
