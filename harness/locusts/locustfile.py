"""What ``oversell swarm`` gives to Locust, unless somebody has a locustfile of their own."""

from harness.locusts import Buyer

__all__ = ["Buyer"]
