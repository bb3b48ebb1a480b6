"""The search held against every schedule there is, on programs that Hypothesis draws."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.exploring.conflicts import Conflicts
from harness.exploring.events import Event, StepKind, Transaction
from harness.exploring.orders import fewest_switches, orders
from tests.exploring.simulator import (
    Op,
    Program,
    Query,
    Work,
    count_schedules,
    every_final,
    explore,
    up_to_renaming,
)

if TYPE_CHECKING:
    from harness.exploring.events import Trace

READ_COMMITTED = Conflicts()
THOROUGH = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

_QUERIES = st.builds(Query, st.sampled_from(list(Op)), st.sampled_from(["s", "t", "u"]), st.integers(0, 1))
_STATEMENTS = st.one_of(_QUERIES.map(lambda query: (query,)), st.tuples(_QUERIES, _QUERIES))


def transactions(statements: int, most: int) -> st.SearchStrategy[Program]:
    """Programs of at most so many transactions, each of at most so many statements."""
    work = st.builds(
        Work,
        st.lists(_STATEMENTS, min_size=1, max_size=statements).map(tuple),
        st.sampled_from([True, True, True, False]),
    )
    return st.lists(work, min_size=1, max_size=most).map(tuple)


def crowd(*programs: Program) -> dict[str, Program]:
    return dict(zip("abc", programs, strict=False))


_LONG, _SHORT = transactions(3, 2), transactions(2, 1)
CROWDS = st.one_of(st.builds(crowd, _LONG, _LONG), st.builds(crowd, _SHORT, _SHORT, _SHORT))
ALIKE = st.one_of(
    _LONG.map(lambda program: crowd(program, program)),
    _SHORT.map(lambda program: crowd(program, program, program)),
    st.tuples(_SHORT, _SHORT).map(lambda both: crowd(both[0], both[0], both[1])),
)


@THOROUGH
@given(programs=CROWDS)
def test_no_final_state_is_missed(programs: dict[str, Program]) -> None:
    """What any schedule can leave behind and tell its clients, one of those that are run does."""
    assert explore(programs, READ_COMMITTED).finals == every_final(programs)


@THOROUGH
@given(programs=ALIKE)
def test_taking_alike_clients_for_one_misses_nothing_but_their_names(programs: dict[str, Program]) -> None:
    """With symmetry, every final state is reached by some renaming of those who run the same program."""
    group = [name for name in programs if programs[name] == programs["a"]]
    found = explore(programs, READ_COMMITTED, alike=[group]).finals
    assert up_to_renaming(found, group) == up_to_renaming(every_final(programs), group)


@THOROUGH
@given(programs=CROWDS)
def test_the_schedules_that_are_run_stand_for_all_there_are(programs: dict[str, Program]) -> None:
    """Each kind is run to its end once, and their orders add up to the number of sequences of choices."""
    traces = explore(programs, READ_COMMITTED).traces
    assert len({_kind(trace) for trace in traces}) == len(traces)
    counted = sum(orders(trace.events, READ_COMMITTED) for trace in traces)
    assert counted == count_schedules(programs)


def _kind(trace: Trace) -> Any:
    """Which pairs of dependent steps came in which order: the same for equivalent schedules."""
    steps = [tuple(events) for _, events in groupby(trace.events, key=lambda event: event.decision)]
    names = [(name, trace.chosen[:place].count(name)) for place, name in enumerate(trace.chosen)]
    return frozenset(
        (names[i], names[j])
        for j, later in enumerate(steps)
        for i in range(j)
        if any(READ_COMMITTED.dependent(a, b) for a in steps[i] for b in later)
    )


def _lock(key: int) -> tuple[Query]:
    return (Query(Op.LOCK, "s", key),)


def test_opposite_locks_that_write_nothing_are_found_to_deadlock() -> None:
    """Locks alone are enough: nothing is published, and still the order matters."""
    programs = crowd((Work((_lock(0), _lock(1))),), (Work((_lock(1), _lock(0))),))
    victims = {deadlocks for *_, deadlocks in explore(programs, READ_COMMITTED).finals}
    assert victims == {(), ("a",), ("b",)}


def test_what_goes_on_by_itself_moves_with_what_let_it_go() -> None:
    """A third client's commit can come before the commit that frees a waiting function's next query."""
    writes, reads = Query(Op.WRITE, "s", 0), Query(Op.READ, "t", 0)
    programs = crowd(
        (Work(((writes,),)),), (Work(((writes, reads),)),), (Work(((Query(Op.WRITE, "t", 0),),)),)
    )
    assert explore(programs, READ_COMMITTED).finals == every_final(programs)


def test_who_waited_may_do_more_where_it_does_not_wait() -> None:
    """A function that waits at its first query shows nothing of its second, and still races with it."""
    first, second = Query(Op.WRITE, "s", 0), Query(Op.WRITE, "t", 0)
    programs = crowd((Work(((first, second),)),), (Work(((first,),)),), (Work(((second,),)),))
    found = explore(programs, READ_COMMITTED)
    assert found.finals == every_final(programs)
    assert len(found.traces) == 17


def test_a_failure_may_have_waited_for_a_lock_nobody_saw() -> None:
    """What a failed statement touched is not known, so it is ordered with every lock that was let go of."""
    advise, insert = Query(Op.ADVISE, "s", 1), Query(Op.INSERT, "t", 1)
    programs = crowd(
        (Work(((advise, insert),)),),
        (Work(((Query(Op.TAKE, "t", 1),),)),),
        (Work(((advise,), (Query(Op.LOCK, "u", 1),))),),
    )
    traces = explore(programs, READ_COMMITTED).traces
    assert sum(orders(trace.events, READ_COMMITTED) for trace in traces) == count_schedules(programs)


@pytest.mark.parametrize("bound", [0, 1])
def test_a_bound_on_preemptions_says_what_it_left_out(bound: int) -> None:
    """Nothing beyond the bound is run, and the search says that it was cut."""
    read, write = (Query(Op.READ, "s", 0),), (Query(Op.WRITE, "s", 0),)
    program = (Work((read,)), Work((write,)))
    found = explore(crowd(program, program), READ_COMMITTED, preemptions=bound)
    assert max(trace.preemptions for trace in found.traces) <= bound
    assert found.search is not None
    assert found.search.cut


def test_a_schedule_may_be_longer_than_the_stack_is_deep() -> None:
    """A client that polls for a lock makes thousands of steps, one after another in one order only."""
    one = Transaction("one", 0)
    events = [
        Event(client="one", kind=StepKind.EXECUTE, label="poll", transaction=one, decision=number)
        for number in range(1100)
    ]
    assert orders(events, READ_COMMITTED) == 1
    assert fewest_switches(events, READ_COMMITTED) == ("one",) * 1100
