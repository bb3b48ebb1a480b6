"""What runs inside Locust's processes, on gevent: users, recording, and the links to the engine.

Importing this package imports Locust, which patches the standard library for gevent. So only Locust's own
processes may do that, and nothing else of this package does. In a locustfile it is the one line that brings
the audit::

    from harness.locusts import Buyer
"""

from harness.locusts import hooks
from harness.locusts.buyer import Buyer

__all__ = ["Buyer", "hooks"]
