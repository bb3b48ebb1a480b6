"""What the cells of one specimen say about the harness."""

from __future__ import annotations

import pytest

from harness.model.matrix import Cell, Claim, Kind, Matrix, Row, Ruling

KILLED = Cell(ruling=Ruling.KILLED, law="no_oversell", laws=("no_oversell",))
SURVIVED = Cell(ruling=Ruling.SURVIVED)


def by_another_law(*laws: str) -> Cell:
    return Cell(ruling=Ruling.WRONG_LAW, law=laws[0], laws=laws)


@pytest.mark.parametrize(
    ("burst", "stateful", "kinds"),
    [
        (KILLED, by_another_law("linearizable"), []),
        (KILLED, by_another_law("no_leak"), []),
        (SURVIVED, by_another_law("linearizable"), [Kind.WRONG_LAW]),
        (by_another_law("no_leak"), by_another_law("no_leak"), [Kind.WRONG_LAW, Kind.WRONG_LAW]),
    ],
)
def test_a_kill_under_another_law_is_no_kill(burst: Cell, stateful: Cell, kinds: list[Kind]) -> None:
    """It may come beside one under a law that is claimed, and stands for none."""
    row = Row(
        specimen="wrong",
        claim=Claim(laws=("no_oversell",), scenario="rush", engine="burst"),
        cells={"burst": burst, "stateful": stateful},
        script=SURVIVED,
    )
    matrix = Matrix(
        engines=("burst", "stateful"), rows=(row,), quick=False, seed=1, database="", started="", seconds=1.0
    )
    assert [finding.kind for finding in matrix.findings] == kinds
