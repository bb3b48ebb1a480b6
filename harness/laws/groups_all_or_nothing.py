"""Of every group either all members have their place, or nobody has one because of it.

A family that asked for four seats and is left with three has bought nothing it can use. So in every
committed state seen while the run was under way, and in the final one, either all members of a group stand
in the books or none does; a group that was refused has put nobody there; and at the end everybody of an
accepted group stands.

Only members are looked at who have no other reason to be in the books, or not to be: those who also
reserved for themselves, hold something, wait in line, belong to another group, or may have given back what
they had, are left out of the judgement. Asking again for the same group is no other reason.

Each ticket type is reported once, with the groups that were not served whole.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.laws._books import first_commit, needs_rows, people, view
from harness.laws._calls import accounts, happens
from harness.laws._law import Law
from harness.model import Outcome, ReserveGroup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from harness.laws._calls import Account
    from harness.model import Books, Call, Evidence, TicketType, Violation


@dataclass(slots=True)
class _Group:
    """A group, however often it was asked for."""

    members: tuple[str, ...]
    calls: list[Call] = field(default_factory=list)
    judged: frozenset[str] = frozenset()
    """Members who have no other reason to stand, or not to stand."""

    @property
    def accepted(self) -> bool:
        return any(call.outcome is Outcome.ACCEPTED for call in self.calls)

    @property
    def refused(self) -> bool:
        return not any(call.may_have_happened for call in self.calls)


def _judge(evidence: Evidence) -> Iterator[Violation]:
    groups = _groups(evidence)
    for ticket in evidence.scenario.tickets:
        mine = [group for (name, _), group in groups.items() if name == ticket.name and group.judged]
        faults: dict[str, tuple[str, Books]] = {}
        for books in (evidence.books, *evidence.states) if mine else ():
            for group, what in _faults(mine, books, ticket, final=books is evidence.books):
                faults.setdefault(" + ".join(group.members), (what, books))
        if faults:
            shown = view(evidence, ticket, next(iter(faults.values()))[1])
            told = people(f"{names} ({what})" for names, (what, _) in faults.items())
            buyers = tuple(dict.fromkeys(name for names in faults for name in names.split(" + ")))
            message = f"{shown.told()}, but a group was not served whole: {told}."
            commit = first_commit(
                (books.commit, any(_faults(mine, books, ticket, final=False))) for books in evidence.states
            )
            yield shown.violation(LAW.name, message, buyers, commit=commit)


def _groups(evidence: Evidence) -> Mapping[tuple[str, frozenset[str]], _Group]:
    found: dict[tuple[str, frozenset[str]], _Group] = {}
    for call in evidence.history:
        if isinstance(call.operation, ReserveGroup):
            members = call.operation.members
            group = found.setdefault((call.operation.ticket, frozenset(members)), _Group(members))
            group.calls.append(call)
    known = accounts(evidence)
    for (ticket, names), group in found.items():
        asked = {id(call) for call in group.calls}
        group.judged = frozenset(
            member for member in names if _only_asked_in(known.get((ticket, member)), asked)
        )
    return found


def _only_asked_in(account: Account | None, calls: set[int]) -> bool:
    """Say whether nothing else can have put this person into the books, or taken them out."""
    if account is None:
        return True
    if account.undoings or account.holds:
        return False
    return all(id(bought.call) in calls for bought in account.purchases)


def _faults(
    groups: Iterable[_Group], books: Books, ticket: TicketType, *, final: bool
) -> Iterator[tuple[_Group, str]]:
    """Yield the groups that are not whole in one state, and what is wrong with them."""
    groups_of: dict[str, list[_Group]] = defaultdict(list)
    for group in groups:
        for member in group.judged:
            groups_of[member].append(group)
    standing: dict[int, list[str]] = defaultdict(list)
    for person in dict.fromkeys(entry.person for entry in books.of(ticket.name)):
        for group in groups_of.get(person, ()):
            standing[id(group)].append(person)
    for group in groups:
        there = standing.get(id(group), [])
        missing = [member for member in group.members if member in group.judged and member not in there]
        if there and group.refused:
            yield group, f"refused, but {people(there)} {_stand(there)}"
        elif there and missing:
            yield group, f"{people(there)} {_stand(there)}, {people(missing)} {_do(missing)} not"
        elif missing and group.accepted and final:
            yield group, f"accepted, but {people(missing)} {_do(missing)} not stand"


def _stand(people: list[str]) -> str:
    return "stands" if len(people) == 1 else "stand"


def _do(people: list[str]) -> str:
    return "does" if len(people) == 1 else "do"


def _needs(evidence: Evidence) -> str | None:
    if not happens(evidence, ReserveGroup):
        return "nobody reserves for a group in this scenario"
    return needs_rows(evidence)


LAW = Law(name="groups_all_or_nothing", doc=__doc__, judge=_judge, applies=_needs)
