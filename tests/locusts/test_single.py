"""One process that makes all the load: all that buyers did reaches the engine, and nothing else does."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from harness.load.messages import Ended, Hello, Stats, Stop, Trouble
from harness.load.plan import Sale
from harness.model import Outcome
from tests.locusts.engine import is_complete, listening, plan_for
from tests.locusts.running import locust
from tests.locusts.shop import selling

if TYPE_CHECKING:
    from pathlib import Path


async def test_what_buyers_did_is_recorded(tmp_path: Path) -> None:
    """Each operation that the shop did is recorded once, with its answer and a name used once."""
    async with (
        selling(general=30) as shop,
        listening(plan_for(shop.url), Sale(number=0, tickets=shop.tickets)) as engine,
        locust(tmp_path / "log", "--headless", "-u", "4", "-r", "4", link=engine.address) as process,
    ):
        await engine.until_recorded(200)
        engine.say(Stop("seen enough"))
        assert await process.ends() == 0
        await engine.until_closed()
        outcomes = Counter(call.answer.outcome for _, call in engine.calls)
        assert outcomes[Outcome.ACCEPTED] == 30
        assert set(outcomes) == {Outcome.ACCEPTED, Outcome.SOLD_OUT}
        assert [call.operation for _, call in engine.calls] != []
        assert Counter(call.operation for _, call in engine.calls) == Counter(shop.asked)
        people = [call.operation.person for _, call in engine.calls]
        assert len(people) == len(set(people))
        assert all(call.completed is not None and call.invoked < call.completed for _, call in engine.calls)
        assert is_complete(engine)
        assert len(engine.of(Ended)) == 1
        assert engine.of(Trouble) == []
        assert engine.of(Hello)[0].worker == ""
        assert engine.of(Stats)[-1].requests >= 200
        assert engine.of(Stats)[-1].failures == 0
