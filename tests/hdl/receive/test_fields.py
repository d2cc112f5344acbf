"""Fields: what the rules need to know of a message, the same as the golden model reads in its bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import pytest
from amaranth import Elaboratable, Module
from amaranth.lib import memory

from tag34.contract import DATA_FIELDS, HEADER_TAGS
from tag34_hdl.layouts import Shape
from tag34_hdl.receive.fields import BEGIN_STRING, IDENT_BITS, OURS, THEIRS, Fields
from tag34_sim.messages import Field, Peer, encode, frame
from tests.hdl.bench import Simulation, plain
from tests.hdl.messages import fields_of

SHAPE = Shape(window=64)
SOH = b"\x01"
PEER = Peer("FIX.4.4", "PEER", "TAG34")


class Bench(Elaboratable):
    """The component and the ident memory that it reads."""

    def __init__(self) -> None:
        self.dut = Fields(SHAPE)
        self.idents = memory.Memory(shape=8, depth=4 << IDENT_BITS, init=[])

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = self.dut
        m.submodules.idents = self.idents
        read = self.idents.read_port()
        m.d.comb += [read.addr.eq(self.dut.ident_addr), self.dut.ident_data.eq(read.data)]
        return m

    def configure(self, ctx: Any, peer: Peer) -> None:
        """Fill the ident memory as the host fills it."""
        for region, text in ((BEGIN_STRING, peer.begin_string), (OURS, peer.target), (THEIRS, peer.sender)):
            for index, byte in enumerate(text.encode() + SOH):
                ctx.set(self.idents.data[(region << IDENT_BITS) + index], byte)


@cache
def simulation() -> Simulation:
    return Simulation(Bench())


def marked(raw: bytes) -> list[dict[str, int] | None]:
    """A message as the framer hands it on: bytes with marks, None for those that it keeps to itself."""
    begin_end = raw.index(SOH)
    body = raw.index(SOH, begin_end + 1) + 1
    body_end = len(raw) - len("10=000|")
    marks: list[dict[str, int] | None] = []
    for place, data in enumerate(raw):
        byte = {"data": data, "soh": data == SOH[0], "equals": data == ord("="), "digit": chr(data) in "0123456789"}
        if place == 4:
            marks.append({**byte, "start": 1})
        elif 4 < place <= begin_end:
            marks.append({**byte, "begin": 1})
        elif body <= place < body_end:
            marks.append({**byte, "body": 1, "last": int(place == body_end - 1)})
        else:
            marks.append(None)
    return marks


def rtl_is_model(
    messages: Sequence[bytes], rng: random.Random, *, peer: Peer = PEER, pause: float = 0.0, cuts: float = 0.0
) -> None:
    """Show all messages to the component.

    ``pause``: share of cycles without a byte; ``cuts``: share of messages that break off (they turned out garbled).
    """
    bench = simulation().component
    dut = bench.dut

    before: dict[str, int] = {}
    believed = [1]
    closed = [0, 0, 0]  # the body's last byte was shown

    async def show(ctx: Any, raw: bytes, mark: dict[str, int] | None) -> None:
        ctx.set(dut.byte_valid, mark is not None)
        ctx.set(dut.byte, mark or {})
        await ctx.tick()
        now = plain(ctx.get(dut.fields)) | {"mirror": 1}
        assert not before or now == before or ctx.get(dut.changed), "a change is told in the cycle in which it shows"
        before.update(now)
        mirror = ctx.get(dut.fields.mirror)
        assert mirror <= believed[-1] or (mark or {}).get("start"), "what is disproved stays so"
        last = mark is not None and mark.get("last", 0)
        assert ctx.get(dut.complete) == (last or any(closed[-2:])), "one cycle behind the last byte of the body"
        if last or any(closed[-2:]):
            compare(ctx, raw, with_mirror=closed[-2])
        # It is dealt with two cycles after it is complete; then nobody looks at `mirror` any more.
        ctx.set(dut.done, closed[-2])
        believed.append(1 if any(closed[-3:-1]) else mirror)
        closed.append(last)

    async def testbench(ctx: Any) -> None:
        bench.configure(ctx, peer)
        for raw in messages:
            marks = marked(raw)
            if rng.random() < cuts:
                marks = marks[: rng.randrange(len(marks) - 7)]
            for mark in marks:
                while rng.random() < pause:
                    await show(ctx, raw, None)
                await show(ctx, raw, mark)
            if len(marks) == len(raw):
                compare(ctx, raw, with_mirror=0)  # they stay

    def compare(ctx: Any, raw: bytes, *, with_mirror: int) -> None:
        expected = fields_of(raw, peer, SHAPE)
        if not with_mirror:
            del expected["mirror"]  # known two cycles after all else
        shown = plain(ctx.get(dut.fields))
        assert {name: shown[name] for name in expected} == expected, raw

    simulation().run(testbench, cycles=60_000)


HEADER = sorted(HEADER_TAGS - {8, 9, 35})
DATA = sorted(DATA_FIELDS.items())
NUMBERS: list[int | str] = [
    1,
    5,
    63,
    64,
    100,
    4294967295,
    4294967296,
    "",
    "0",
    "000",
    "0007",
    "00000000000042",
    "-5",
    "2.0",
    "abc",
    "5 ",
]
FLAGS = ["Y", "N", "y", "", "YY", "Y ", "YES"]
TYPES = ["A", "4", "2", "D", "0", "8", "AB", "44", "A4", "", "XLONGTYPE"]


def random_message(rng: random.Random) -> bytes:
    """A well framed message with fields of all kinds, in and out of place."""
    idents = {49: PEER.sender, 56: PEER.target}
    fields: list[Field] = [(35, rng.choice(TYPES if rng.random() < 0.5 else "A42"))]
    wanted: list[Field] = [(49, PEER.sender), (56, PEER.target), (34, rng.choice(NUMBERS))]
    for tag in (43, 97):
        if rng.random() < 0.5:
            wanted.append((tag, rng.choice(FLAGS)))
    for _ in range(rng.randint(0, 3)):
        wanted.append((rng.choice(HEADER), rng.choice(("x", "34=7", "Y", 12))))
    if rng.random() < 0.15:
        tag = rng.choice((49, 56))
        name = idents[tag]
        wrong = rng.choice(("", name[:-1], name + "X", name.lower(), "x" * 63, "x" * 80, name[1:]))
        wanted = [(tag, wrong) if field[0] == tag else field for field in wanted]
    if rng.random() < 0.1:
        wanted.pop(rng.randrange(len(wanted)))
    if rng.random() < 0.3:
        rng.shuffle(wanted)
    if rng.random() < 0.15:  # something ends the header
        wanted.insert(rng.randint(0, len(wanted)), (rng.choice(("034", "034x", "", 5, 58, 91, 213, 35000, 344)), "1"))
    if rng.random() < 0.1:  # twice
        wanted.append(rng.choice(wanted))
    if rng.random() < 0.1:
        wanted.append((34, rng.choice(NUMBERS)))
    fields += wanted
    body: list[Field] = []
    for _ in range(rng.randint(0, 5)):
        which: int | str = rng.choice((36, 123, 141, 36, 123, 141, 58, 34, 43, "036", 1234, 12345))
        body.append((which, rng.choice(FLAGS if which in (123, 141, 43) else NUMBERS)))
    data = encode(fields + body)
    if rng.random() < 0.3:
        length_tag, data_tag = rng.choice(DATA)
        inside = rng.choice((b"141=Y\x01", b"\x01123=Y\x0136=9\x01", b"x", b"", b"\x01\x01", b"36=3"))
        said = rng.choice(
            (
                len(inside),
                len(inside),
                len(inside),
                len(inside) + rng.randint(-2, 3),
                "",
                "1234567",
                "x",
                "0003",
                999999,
            )
        )
        if rng.random() < 0.15:
            data_tag = rng.choice(DATA)[1]
        data += b"%d=%b\x01%d=%b\x01" % (length_tag, str(said).encode(), data_tag, inside)
        data += encode([(rng.choice((36, 123, 141, 58)), rng.choice(("Y", "7")))])
    if rng.random() < 0.1:
        data += b"no field\x01"
    begin = rng.choice(("FIX.4.4",) * 9 + ("FIX.4.2", "FIX", "FIX.4.44", "FIX.4.", "FIXT.1.1"))
    return frame(data, begin_string=begin)


@pytest.mark.rule("F2")
@pytest.mark.parametrize(("pause", "cuts"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.4, 0.3)])
def test_random_messages(pause: float, cuts: float, rng: random.Random) -> None:
    rtl_is_model([random_message(rng) for _ in range(45)], rng, pause=pause, cuts=cuts)


def headers(*names: str | bytes) -> Iterator[bytes]:
    """Messages with these texts behind 35=D, each after two header fields."""
    for name in names:
        text = name if isinstance(name, bytes) else name.encode()
        yield frame(b"35=D\x0149=PEER\x0156=TAG34\x01" + text.replace(b"|", SOH))


@pytest.mark.rule("F2")
def test_F2_the_number_in_the_header(rng: random.Random) -> None:
    numbers = (f"34={number}|" for number in NUMBERS)
    rtl_is_model(
        list(headers(*numbers, "50=34=7|34=8|", "58=x|34=8|", "34=1|34=2|", "34=|34=5|", "034=3|34=4|", "52=|34=5|")),
        rng,
    )


@pytest.mark.rule("F2")
def test_F2_every_header_tag_goes_on_and_no_other_one_does(rng: random.Random) -> None:
    others = [
        1,
        3,
        7,
        10,
        11,
        33,
        36,
        44,
        58,
        91,
        95,
        114,
        123,
        141,
        146,
        213,
        346,
        370,
        626,
        631,
        1127,
        1130,
        1157,
        3434,
        34343,
    ]
    tags = [*HEADER, *others, *(f"{tag}0" for tag in HEADER), *(f"0{tag}" for tag in HEADER)]
    rtl_is_model(list(headers(*(f"{tag}=1|34=77|" for tag in tags))), rng)


@pytest.mark.rule("F2")
@pytest.mark.parametrize("msg_type", ["A", "4", "D"])
def test_F2_data_fields_are_passed_over(msg_type: str, rng: random.Random) -> None:
    inside = b"\x01141=Y\x01123=Y\x0136=5\x01"
    messages = [PEER.message(msg_type, 1, [(length, len(inside)), (data, inside), (36, 7)]) for length, data in DATA]
    messages += [
        PEER.message(msg_type, 1, [(95, said), (96, inside), (36, 7)])
        for said in (len(inside) - 1, len(inside) + 1, 0, "0019", "000019", "0000019", "", "1x", 999999)
    ]
    messages += [PEER.message(msg_type, 1, [(length, len(inside)), (96, inside), (36, 7)]) for length, _ in DATA]
    messages += [PEER.message(msg_type, 1, [(95, len(inside)), (58, "x"), (96, inside), (36, 7)])]
    messages += [
        PEER.message(msg_type, 1, [(95, size), (96, (inside * 60)[:size]), (36, 7)]) for size in (9, 10, 99, 100, 1001)
    ]
    rtl_is_model(messages, rng)


@pytest.mark.rule("R2")
@pytest.mark.parametrize("size", [1, 4, 5, 62, 63])
def test_R2_idents_of_all_lengths(size: int, rng: random.Random) -> None:
    peer = Peer("FIX" + "." * (size - 3) if size > 3 else "FIX", "S" * size, "T" * size)
    messages = [peer.heartbeat(1)]
    for change in (-1, 1, 2):
        if size + change:
            messages.append(Peer(peer.begin_string, "S" * (size + change), peer.target).heartbeat(2))
            messages.append(Peer(peer.begin_string, peer.sender, "T" * (size + change)).heartbeat(3))
        if size + change >= 3:
            messages.append(Peer("FIX" + "." * (size - 3 + change), peer.sender, peer.target).heartbeat(4))
    messages.append(Peer(peer.begin_string, peer.target, peer.sender).heartbeat(5))
    messages.append(Peer(peer.begin_string, "S" * (size - 1) + "x", peer.target).heartbeat(6))
    rtl_is_model([*messages, peer.heartbeat(7)], rng, peer=peer)


@pytest.mark.rule("F2", "R2")
@pytest.mark.parametrize(
    ("text", "settles", "denied"),
    [
        ("35=D|34=7|49=PEER|56=TAG34|58=x|", "34=7|", None),
        ("35=D|49=PEER|56=TAG34|34=7|", "34=7|", None),
        ("35=D|49=PEER|34=7|34=8|56=TAG34|", "34=7|", None),
        ("35=D|34=|49=PEER|56=TAG34|", "34=|", None),
        ("35=D|49=PEER|56=TAG34|58=x|34=7|", None, None),
        ("35=D|49=PEER|56=TAG34|", None, None),
        ("35=D|34=7|49=PEEP|56=TAG34|", "34=7|", "49=PEEP|"),
        ("35=D|34=7|49=PEER|56=TAG|58=x|", "34=7|", "56=TAG|"),
        ("35=D|34=7|56=TAG34|58=x|", "34=7|", None),
    ],
)
def test_F2_the_number_settles_it_and_the_ident_is_believed(text: str, settles: str | None, denied: str | None) -> None:
    """``settles``, ``denied``: with the last byte of which field; None: with the last byte of the body."""
    bench = simulation().component
    dut = bench.dut
    raw = frame(text.replace("|", "\x01").encode(), begin_string="FIX.4.4")
    body_end = len(raw) - len("10=000|")

    def end_of(field: str | None) -> int:
        if field is None:
            return body_end - 1
        data = field.replace("|", "\x01").encode()
        return raw.index(data) + len(data) - 1

    async def testbench(ctx: Any) -> None:
        bench.configure(ctx, PEER)
        foreign = denied is not None or "49=" not in text
        for place, mark in enumerate(marked(raw)):
            ctx.set(dut.byte_valid, mark is not None)
            ctx.set(dut.byte, mark or {})
            await ctx.tick()
            assert ctx.get(dut.settled) == (place >= end_of(settles))
            if place >= 4:
                # A comparison takes two cycles, the missing of a field is known when nothing more can come.
                known = end_of(denied) + 2 if denied else body_end
                assert ctx.get(dut.fields.mirror) == (not foreign or place < known)
        ctx.set(dut.done, 1)
        await ctx.tick()
        assert not ctx.get(dut.settled)

    simulation().run(testbench)
