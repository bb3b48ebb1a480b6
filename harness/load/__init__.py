"""What the two sides of a swarm share: the plan, what buyers do, and the messages between them. Pure.

Locust's processes run on gevent, the engine on asyncio, and the two cannot share a process. They share this
room instead: data, and the messages in which it travels.
"""
