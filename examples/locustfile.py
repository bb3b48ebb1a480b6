"""Somebody's own locustfile: buyers of their own, and users who only look around.

    oversell swarm --target http://127.0.0.1:3000 --database postgresql://user@127.0.0.1/shop \\
        --locustfile examples/locustfile.py

Importing :class:`Buyer` is what brings the audit: whatever a buyer does is recorded, and held against the
books at the end. Users of any other kind are Locust's own business.
"""

from __future__ import annotations

from locust import FastHttpUser, between, task

from harness.locusts import Buyer
from harness.model import Cancel, Outcome, Reserve


class Hesitant(Buyer):
    """Buys, thinks it over, and gives back what it bought one time in three."""

    wait_time = between(0.1, 0.5)
    weight = 3

    @task(2)
    def buy_and_hesitate(self) -> None:
        """Each visit is made under a new name, for a ticket type that is on sale at this moment."""
        me = self.arrive()
        bought = self.do(Reserve(ticket=me.ticket, person=me.person))
        if bought.outcome is Outcome.ACCEPTED and me.luck.random() < 1 / 3:
            self.do(Cancel(ticket=me.ticket, person=me.person))

    @task(1)
    def press_twice(self) -> None:
        """One of those that come with oversell, by its name."""
        self.visit("impatient")


class Visitor(FastHttpUser):
    """Opens a page now and then. None of this is audited, all of it is in Locust's figures."""

    wait_time = between(1, 2)
    weight = 1

    @task
    def look(self) -> None:
        """Ask for something that is no part of the contract."""
        self.client.get("/healthz", name="look")
