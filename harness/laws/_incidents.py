"""What the laws about incidents share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.model import Evidence, IncidentKind


def incidents_were_watched(evidence: Evidence) -> str | None:
    """Return why incidents cannot be judged: nobody watched for them."""
    return "the engine does not watch sessions for it" if evidence.incidents is None else None


def of_kind(evidence: Evidence, kind: IncidentKind) -> tuple[str, ...]:
    """Return the clients that met this kind of incident, each once; those that are not known are left out."""
    met = (incident.client for incident in evidence.incidents or () if incident.kind is kind)
    return tuple(dict.fromkeys(client for client in met if client is not None))


def how_many(evidence: Evidence, kind: IncidentKind) -> int:
    """Return how many incidents of this kind there were."""
    return sum(incident.kind is kind for incident in evidence.incidents or ())
