"""What a worker packs comes out of the other end as it was, and what is cut off is not taken for less."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.records import NoRecordError, Record, pack, unpack
from harness.model import Answer, Outcome, Proof, Reserve, TicketType
from tests.strategies import NAMES, PEOPLE, Family, operations

ANSWERS = st.builds(
    Answer,
    outcome=st.sampled_from(Outcome),
    reservation=st.none() | st.text(max_size=5),
    remaining=st.none() | st.integers(-3, 3),
    sold=st.none() | st.integers(-3, 3),
    group=st.lists(st.text(max_size=3), max_size=3).map(tuple),
    detail=st.text(max_size=5),
)
RECORDS = st.builds(
    Record,
    sale=st.integers(0, 10_000),
    client=st.text(max_size=20),
    operation=operations(
        tuple(TicketType(name=name, initial=1) for name in NAMES), PEOPLE, frozenset(Family)
    ),
    answer=ANSWERS,
    invoked=st.integers(0, 2**62),
    completed=st.none() | st.integers(0, 2**62),
)


@given(st.lists(RECORDS, max_size=5))
def test_records_come_back_as_they_were(records: list[Record]) -> None:
    back = list(unpack(b"".join(pack(record) for record in records)))
    assert [
        Record(sale, call.client, call.operation, call.answer, call.invoked, call.completed)
        for sale, call in back
    ] == records


@given(RECORDS, st.data())
def test_a_record_that_was_cut_off_is_refused(record: Record, data: st.DataObject) -> None:
    payload = pack(record)
    cut = data.draw(st.integers(1, len(payload) - 1))
    with pytest.raises(NoRecordError):
        list(unpack(payload[:cut]))


def test_a_proof_is_a_proof_again() -> None:
    record = Record(0, "u", Reserve(ticket="t", person="p", proof=Proof.CUT), Answer(Outcome.INVALID), 1, 2)
    ((_, call),) = unpack(pack(record))
    assert isinstance(call.operation, Reserve)
    assert call.operation.proof is Proof.CUT
