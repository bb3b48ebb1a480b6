"""The engine's side of a swarm: Locust started, watched and stopped; its records gathered and judged."""
