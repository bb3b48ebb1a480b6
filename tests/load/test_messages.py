"""Every message comes out of its frame as it went in, and what is no message is refused as such."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.messages import (
    LARGEST,
    LENGTH,
    Chunk,
    Clock,
    Ended,
    Hello,
    Live,
    Message,
    NoMessageError,
    Opened,
    Planned,
    Refused,
    Stats,
    Stop,
    Taken,
    Trouble,
    Workers,
    from_body,
    from_map,
    length_of,
    to_frame,
)
from harness.load.plan import LoadPlan, Sale, Shape

PLAN = LoadPlan(
    host="http://127.0.0.1:1",
    behaviours={"rush": 2},
    users=3,
    spawn_rate=None,
    run_time=1.5,
    shape=Shape.SPIKE,
    wait=(0.0, 0.5),
    timeout=10.0,
    seed=7,
    record=True,
    may_load_host=False,
)
MESSAGES = (
    Hello("w", 1, "0.1.0", "2.47.0", "secret"),
    Planned(PLAN),
    Opened(Sale(number=3, tickets={"general": ("1", "a")})),
    Chunk("w", 0, 2, b"\x00\xff"),
    Taken("w", 0),
    Ended("w", 1, 2, 50),
    Clock("w", 5, "boot", 6),
    Workers({"w": "running"}),
    Stats(1, 2, 3, 4.5, 6.7, 8.9),
    Trouble("w", "died"),
    Stop("oversold"),
    Refused("of another version"),
    Live({"general": {"initial": 2, "sold": 1}}, {"lag (s)": 0.5}, "sampled"),
)


def test_every_message_is_tried() -> None:
    """One that is added must travel too."""
    assert {type(message) for message in MESSAGES} == set(get_args(Message))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    frame = to_frame(message)
    assert length_of(frame[: LENGTH.size]) == len(frame) - LENGTH.size
    assert from_body(frame[LENGTH.size :]) == message


@given(st.binary(max_size=40))
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(NoMessageError):
        from_body(body)


@pytest.mark.parametrize(
    "data",
    [
        None,
        {"type": "hello"},
        {"type": "nothing"},
        {"type": "stop", "reason": "x", "more": 1},
        {"type": "plan", "plan": {"host": "x"}},
        {"type": "sale", "sale": {"number": 1, "tickets": {"general": ("1",)}}},
    ],
)
def test_a_message_of_another_version_is_refused(data: object) -> None:
    with pytest.raises(NoMessageError):
        from_map(data)


@pytest.mark.parametrize("length", [0, LARGEST + 1])
def test_a_frame_of_an_absurd_length_is_refused(length: int) -> None:
    with pytest.raises(NoMessageError):
        length_of(LENGTH.pack(length))
