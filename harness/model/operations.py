"""Operations: what buyers and organizers do, as plain data, and the features a target needs to serve them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Feature(StrEnum):
    """Something a target may or may not be able to do. A scenario's needs are read off its operations."""

    RESERVE = "reserve"
    CANCEL = "cancel"
    AVAILABILITY = "availability"
    QUANTITY = "quantity"
    """Reserve more than one in one operation."""
    DEADLINE = "deadline"
    """Ticket types whose sale has ended."""
    PROOF = "proof"
    """A payment proof is uploaded as part of the purchase."""
    DISCONNECT = "disconnect"
    """The client can go away in the middle of an operation."""
    OWNERSHIP = "ownership"
    """It is known who asks, so that nobody can cancel what is somebody else's."""
    HOLD = "hold"
    """Set aside while the buyer pays; then confirm, or release."""
    EXPIRY = "expiry"
    """Holds run out, and what they held goes back on sale."""
    GROUP = "group"
    """Reserve for several people at once, all or nothing."""
    WAITLIST = "waitlist"
    """Wait in line for what others give back."""
    CAPACITY = "capacity"
    """Change how much there is to sell while the sale is on."""
    REFUND = "refund"
    """Take a reservation back and pay its price back, once."""
    NOTICES = "notices"
    """Whoever listens is told how many remain, without asking."""
    SALES = "sales"
    """Statistics of what was sold."""


class Proof(StrEnum):
    """What becomes of the payment proof that belongs to a purchase."""

    NONE = "none"
    """The purchase asks for none."""
    GOOD = "good"
    """A small image that is accepted."""
    REFUSED = "refused"
    """A file of a kind that must be refused. The buyer then stops: nothing may have been bought."""
    CUT = "cut"
    """The connection breaks half-way through the upload. The buyer then stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """Take ``quantity`` units of ``ticket`` for ``person`` (an RSVP)."""

    ticket: str
    person: str
    quantity: int = 1
    proof: Proof = Proof.NONE
    disconnects: bool = False
    """The client goes away once the request has left, without waiting for the answer."""

    @property
    def in_vain(self) -> bool:
        """It must not succeed: its payment proof is refused or cut off."""
        return self.proof in (Proof.REFUSED, Proof.CUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Give back what ``person`` holds of ``ticket``.

    ``reservation`` is the target's own name for it. Scenarios leave it out: an engine fills in what
    the target answered when that person reserved.
    """

    ticket: str
    person: str
    reservation: str | None = None
    whose: str | None = None
    """Whose reservation it is; ``None`` for the person's own. Nobody may cancel somebody else's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAvailability:
    """Ask how many units of ``ticket`` remain: neither sold nor held."""

    ticket: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Have ``quantity`` units of ``ticket`` set aside for ``person`` while they pay."""

    ticket: str
    person: str
    quantity: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """Turn the person's hold into a reservation. ``hold`` is filled in like :attr:`Cancel.reservation`."""

    ticket: str
    person: str
    hold: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Give the person's hold up. ``hold`` is filled in like :attr:`Cancel.reservation`."""

    ticket: str
    person: str
    hold: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expire:
    """Let the time of the person's holds of ``ticket`` run out, and have the target clean up what ran out.

    Two moments: a target first moves the holds' time into the past, for instance by SQL, and then runs
    whatever it has that gives expired holds back. A hold whose time has run out must not be confirmed.
    """

    ticket: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReserveGroup:
    """Take one unit of ``ticket`` for each of ``members``: for all of them, or for nobody."""

    ticket: str
    person: str
    """Who asks. A member only when named among them."""
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinWaitlist:
    """Wait in line for one unit of ``ticket``. Whoever waits longest gets what comes back, without asking.

    Only for a ticket type of which nothing remains; else it is refused as invalid.
    """

    ticket: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveWaitlist:
    """Wait no longer."""

    ticket: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCapacity:
    """Let there be ``capacity`` units of ``ticket`` to sell in all; never fewer than are sold and held."""

    ticket: str
    person: str
    """The organizer."""
    capacity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Take the person's reservation back and pay its price back, once. Filled in like a cancel."""

    ticket: str
    person: str
    reservation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadNotice:
    """Say how many units of ``ticket`` the last notice said remain, once what was sent has arrived."""

    ticket: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSales:
    """Ask the sales statistics how many units of ``ticket`` are sold, cancelled ones taken off."""

    ticket: str
    person: str


Operation: TypeAlias = (
    Reserve
    | Cancel
    | ReadAvailability
    | Hold
    | Confirm
    | Release
    | Expire
    | ReserveGroup
    | JoinWaitlist
    | LeaveWaitlist
    | ChangeCapacity
    | Refund
    | ReadNotice
    | ReadSales
)

READS = (ReadAvailability, ReadNotice, ReadSales)
"""Those that only ask."""

FEATURE_OF: Mapping[type[Operation], Feature] = {
    Reserve: Feature.RESERVE,
    Cancel: Feature.CANCEL,
    ReadAvailability: Feature.AVAILABILITY,
    Hold: Feature.HOLD,
    Confirm: Feature.HOLD,
    Release: Feature.HOLD,
    Expire: Feature.EXPIRY,
    ReserveGroup: Feature.GROUP,
    JoinWaitlist: Feature.WAITLIST,
    LeaveWaitlist: Feature.WAITLIST,
    ChangeCapacity: Feature.CAPACITY,
    Refund: Feature.REFUND,
    ReadNotice: Feature.NOTICES,
    ReadSales: Feature.SALES,
}
"""What a target must be able to do, at least, to serve an operation of that kind."""

_KINDS: Mapping[type[Operation], str] = {
    Reserve: "reserve",
    Cancel: "cancel",
    ReadAvailability: "availability",
    Hold: "hold",
    Confirm: "confirm",
    Release: "release",
    Expire: "expire",
    ReserveGroup: "reserve_group",
    JoinWaitlist: "join_waitlist",
    LeaveWaitlist: "leave_waitlist",
    ChangeCapacity: "change_capacity",
    Refund: "refund",
    ReadNotice: "read_notice",
    ReadSales: "read_sales",
}
if set(_KINDS) != set(get_args(Operation)) or set(FEATURE_OF) != set(_KINDS):
    raise AssertionError("every operation needs a kind and a feature")


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "str | None": lambda value: value is None or isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
    "Proof": lambda value: isinstance(value, Proof),
    "tuple[str, ...]": lambda value: (
        isinstance(value, tuple) and all(isinstance(each, str) for each in value)
    ),
}
"""Whether a value is of a type, by how the fields above write that type."""


def fault_of(operation: Operation) -> str | None:
    """Say which field of an operation holds what does not belong there; ``None`` when all is well.

    Dataclasses take anything: a group whose members are one text would be a group of its letters.
    """
    for field in fields(operation):
        value = getattr(operation, field.name)
        if not _FITS[str(field.type)](value):
            kind = kind_of(operation)
            return f"the operation's {field.name} cannot be {value!r}: in a {kind} it is {field.type}"
    return None


def kind_of(operation: Operation) -> str:
    """Return the name of the operation's kind, as in files and reports."""
    return kind_name(type(operation))


def kind_name(kind: type[Operation]) -> str:
    """Return the name of a kind of operation."""
    return _KINDS[kind]


def features_of(operation: Operation) -> frozenset[Feature]:
    """Return what a target must be able to do to serve this operation."""
    needed = {FEATURE_OF[type(operation)]}
    if isinstance(operation, Reserve | Hold) and operation.quantity != 1:
        needed.add(Feature.QUANTITY)
    if isinstance(operation, Reserve):
        if operation.proof is not Proof.NONE:
            needed.add(Feature.PROOF)
        if operation.disconnects:
            needed.add(Feature.DISCONNECT)
    if isinstance(operation, Cancel) and operation.whose not in (None, operation.person):
        needed.add(Feature.OWNERSHIP)
    return frozenset(needed)


def operation_to_dict(operation: Operation) -> dict[str, Any]:
    """Return the operation as JSON-ready data, its ``kind`` first and defaults left out."""
    data: dict[str, Any] = {"kind": kind_of(operation)}
    for field in fields(operation):
        value = getattr(operation, field.name)
        if value != field.default:
            data[field.name] = list(value) if isinstance(value, tuple) else value
    return data


def operation_from_dict(data: Mapping[str, Any]) -> Operation:
    """Return the operation that :func:`operation_to_dict` wrote.

    :raises ValueError: when the kind is unknown or a field does not belong to it.
    """
    kinds = {name: kind for kind, name in _KINDS.items()}
    rest = dict(data)
    kind = kinds.get(str(rest.pop("kind", None)))
    if kind is None:
        raise ValueError(f"unknown operation kind {data.get('kind')!r}; valid: {', '.join(kinds)}")
    if "proof" in rest:
        rest["proof"] = Proof(str(rest["proof"]))
    if isinstance(rest.get("members"), list):
        rest["members"] = tuple(rest["members"])
    try:
        operation = kind(**rest)
    except TypeError as error:
        raise ValueError(f"not a {data['kind']} operation: {error}") from None
    if fault := fault_of(operation):
        raise ValueError(fault)
    return operation
