"""F1 to F6 on every device: bytes to messages."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tag34.contract import HEADER_TAGS, Phase
from tag34.device import MessageRecord
from tag34_sim.messages import Field, Peer, checksummed, cut, damaged_checksum, encode, frame
from tests.sim.bench import Bench, tell

MakeBench = Callable[..., Bench]

PEER = Peer()
HEADER = encode([(35, "D"), (49, "PEER"), (56, "TAG34"), (34, 1)])


def with_fields(fields: bytes) -> bytes:
    """A message whose fields behind 35, 49 and 56 are these bytes."""
    return frame(encode([(35, "D"), (49, "PEER"), (56, "TAG34")]) + fields)


# F1


@pytest.mark.rule("F1", "F4")
def test_F1_where_the_bytes_are_cut_has_no_meaning(bench: MakeBench, rng: random.Random) -> None:
    stream = (
        b"xx" + PEER.order(1) + PEER.order(3) + damaged_checksum(PEER.order(2)) + b"8=FI" + PEER.order(2, possdup=True)
    )
    whole = bench()
    whole.feed(stream)
    want = whole.records
    for chunks in ([stream[at : at + 1] for at in range(len(stream))], *(cut(stream, rng) for _ in range(20))):
        whole.device.set_expected(0, 1)
        whole.device.set_next_out(0, 1)
        whole.reconnect()
        whole.records.clear()
        for chunk in chunks:
            whole.feed(chunk)
        assert [tell(record) for record in whole.records] == [tell(record) for record in want], chunks
        assert [(m.offset, m.length) for m in whole.messages] == [
            (m.offset, m.length) for m in want if isinstance(m, MessageRecord)
        ]


@pytest.mark.rule("F1")
def test_F1_a_message_is_reported_with_its_place_and_delivered_whole(bench: MakeBench) -> None:
    b = bench()
    first, second = PEER.order(1), PEER.message("8", 2, possresend=True)
    b.feed(b"junk", first, second)
    assert [(m.offset, m.length, m.msg_type) for m in b.messages] == [
        (4, len(first), "D"),
        (4 + len(first), len(second), "8"),
    ]
    assert [(d.data, d.msg_type, d.possdup, d.possresend) for d in b.delivered] == [
        (first, "D", False, False),
        (second, "8", False, True),
    ]


# F2


@pytest.mark.rule("F2")
def test_F2_body_length_decides_so_data_may_hold_anything(bench: MakeBench) -> None:
    b = bench()
    data = b"\x0110=000\x018=FIX.4.4\x019=5\x0135=0\x0110=163\x01"
    assert b.feed(PEER.message("B", 1, [(95, len(data)), (96, data)]), PEER.order(2)) == [
        "deliver 1",
        "R8 1 -> 2",
        "deliver 2",
        "R8 2 -> 3",
    ]


@pytest.mark.rule("F2")
@pytest.mark.parametrize(
    ("fields", "want"),
    [
        (b"34=1\x0134=9\x01", "R8 1 -> 2"),  # the first occurrence
        (b"34=\x0134=1\x01", "R4 none -> 1"),  # even if it is empty
        (b"50=34=9\x0134=1\x01", "R8 1 -> 2"),  # inside a value it is no tag
        (b"134=9\x0134=1\x01", "R4 none -> 1"),  # nor is it the end of another tag, which ends the header here
        (b"11=x\x0134=1\x01", "R4 none -> 1"),  # a body field ends the header
        (b"90=2\x0191=xx\x0134=1\x01", "R4 none -> 1"),  # so does 91
        (b"212=2\x01213=xx\x0134=1\x01", "R4 none -> 1"),  # so does 213
        (b"034=1\x0134=1\x01", "R4 none -> 1"),  # tags count as they are written
        (b"=1\x0134=1\x01", "R4 none -> 1"),
        (b"50\x0134=1\x01", "R4 none -> 1"),
        (b"\x0134=1\x01", "R4 none -> 1"),
        (b"50=\x0134=1\x01", "R8 1 -> 2"),  # an empty value is no end
        (b"8=\x019=x\x0135=5\x0134=1\x01", "R8 1 -> 2"),  # a second 8, 9, 35 neither
    ],
)
def test_F2_the_header_and_first_occurrences(bench: MakeBench, fields: bytes, want: str) -> None:
    assert bench().feed(with_fields(fields))[-1] == want


@pytest.mark.rule("F2")
@pytest.mark.parametrize(
    "tag",
    [
        50,
        52,
        57,
        90,
        97,
        115,
        116,
        122,
        128,
        129,
        142,
        143,
        144,
        145,
        212,
        347,
        369,
        627,
        628,
        629,
        630,
        1128,
        1129,
        1156,
    ],
)
def test_F2_every_standard_header_tag_leaves_the_header_open(bench: MakeBench, tag: int) -> None:
    assert bench().feed(with_fields(b"%d=1\x0134=1\x01" % tag)) == ["deliver 1", "R8 1 -> 2"]


@pytest.mark.rule("F2")
@pytest.mark.parametrize(("value", "flag"), [("Y", True), ("N", False), ("y", False), ("YES", False), ("", False)])
def test_F2_possdup_and_possresend_are_the_value_Y_alone(bench: MakeBench, value: str, flag: bool) -> None:
    b = bench()
    b.feed(with_fields(encode([(43, value), (43, "Y"), (97, value), (34, 1), (11, "x"), (97, "Y")])))
    assert [(d.possdup, d.possresend) for d in b.delivered] == [(flag, flag)]
    assert [m.possdup for m in b.messages] == [flag]


@pytest.mark.rule("F2")
def test_F2_141_counts_in_a_logon_only_and_not_inside_data(bench: MakeBench) -> None:
    b = bench(expected=5)
    raw = b"x\x01141=Y\x01"
    hidden = PEER.message("A", 1, [(98, 0), (95, len(raw)), (96, raw)], possdup=True)
    assert b.feed(hidden) == ["R9a 1 -> 5"]
    unmeasured = PEER.message("A", 1, [(95, len(raw)), (98, 0), (96, raw)], possdup=True)
    assert b.feed(unmeasured) == ["deliver 1", "R5 1 -> 2"], (
        "a length that does not stand right before its data is not believed"
    )


@pytest.mark.rule("F2")
@pytest.mark.parametrize(
    ("body", "reset"),
    [
        (b"90=8\x0191=x\x01141=Y\x01\x01141=Y\x01", True),  # the length is a header field, the data a body field
        (b"90=8\x0191=x\x01141=Y\x01\x01", False),
        (b"95=9\x0196=x\x01141=Y\x01141=Y\x01", False),  # then the value goes on to the next SOH
        (b"95=0\x0196=\x01141=Y\x01", True),
        (b"95=0000008\x0196=x\x01141=Y\x01\x01", True),  # seven digits are not believed
        (b"95=8x\x0196=x\x01141=Y\x01\x01", True),
        (b"95=\x0196=x\x01141=Y\x01\x01", True),
        (b"95=999\x0196=x\x01141=Y\x01", False),  # the message ends first
        (b"354=8\x0196=x\x01141=Y\x01\x01", True),  # the length of another field
        (b"95=6\x0196\x01141=Y\x01", True),
        (b"95=000008\x0196=x\x01141=Y\x01\x01", False),  # six digits are
        (b"141=N\x01141=Y\x01", False),
        (b"141\x01141=Y\x01", True),  # without = it is no field
        (b"95\x0196=x\x01141=Y\x01", True),
        (b"1401=8\x011402=x\x01141=Y\x01\x01", False),
        (b"1403=8\x011404=x\x01141=Y\x01\x01", False),
        (b"354=8\x01355=x\x01141=Y\x01\x01", False),
        (b"93=8\x0189=x\x01141=Y\x01\x01", False),
        (b"212=8\x01213=x\x01141=Y\x01\x01", False),
    ],
)
def test_F2_data_fields_are_passed_over_by_their_length(bench: MakeBench, body: bytes, reset: bool) -> None:
    logon = frame(encode([(35, "A"), (49, "PEER"), (56, "TAG34"), (34, 1), (43, "Y")]) + body)
    assert bench(expected=5).feed(logon)[-1] == ("R5 1 -> 2" if reset else "R9a 1 -> 5")


@pytest.mark.rule("F2")
def test_F2_36_and_123_count_in_a_sequence_reset_only_first_occurrence_in_the_body(bench: MakeBench) -> None:
    b = bench()
    assert b.feed(PEER.message("D", 1, [(123, "Y"), (36, 9)])) == ["deliver 1", "R8 1 -> 2"]
    assert b.feed(PEER.message("4", 2, [(123, "Y"), (36, 5), (36, 9)])) == ["R7 2 -> 5"]
    assert b.feed(PEER.message("4", 5, [(36, 9), (123, "N"), (123, "Y")])) == ["R3 5 -> 9"]
    data = b"\x0136=70\x01"
    assert b.feed(PEER.message("4", 9, [(123, "Y"), (95, len(data)), (96, data), (36, 12)])) == ["R7 9 -> 12"]


@pytest.mark.rule("F2")
def test_F2_123_and_36_of_a_logon_and_141_of_a_reset_mean_nothing(bench: MakeBench) -> None:
    b = bench()
    assert b.feed(PEER.message("A", 1, [(123, "Y"), (36, 9)])) == ["deliver 1", "R8 1 -> 2"]
    assert b.feed(PEER.message("4", 1, [(141, "Y"), (36, 9)])) == ["R3 1 -> 9"]
    assert b.feed(PEER.message("4", 1, [(141, "Y"), (123, "Y"), (36, 19)], possdup=True)) == ["R9a 1 -> 9"]


@pytest.mark.rule("F2")
def test_F2_msg_type_is_compared_whole(bench: MakeBench) -> None:
    b = bench(expected=3)
    assert b.feed(PEER.message("AB", 1, [(141, "Y")], possdup=True), PEER.message("44444", 3, [(36, 9)])) == [
        "R9a 1 -> 3",
        "deliver 3",
        "R8 3 -> 4",
    ]
    assert [m.msg_type for m in b.messages] == ["AB", "4444"], "records carry four characters"


@pytest.mark.rule("F2", "R2")
@pytest.mark.parametrize(
    ("fields", "want"),
    [
        (b"43=Y\x0134=1\x01", "R9a 1 -> 5"),
        (b"34=1\x0111=x\x0143=Y\x01", "R9b 1 -> 5"),  # 43 in the body
        (b"34=1\x0150=43=Y\x01", "R9b 1 -> 5"),  # inside a value
        (b"34=1\x01143=Y\x01", "R9b 1 -> 5"),  # the end of another tag
        (b"34=1\x0143=N\x0143=Y\x01", "R9b 1 -> 5"),  # the second occurrence
        (b"34=1\x0143=Y\x0143=N\x01", "R9a 1 -> 5"),
        (b"49=OTHER\x0156=OTHER\x0143=Y\x0134=1\x01", "R9a 1 -> 5"),  # second occurrences: the first ones are right
        (b"11=x\x0149=OTHER\x01", "R4 none -> 5"),
    ],
)
def test_F2_each_field_of_the_header_counts_where_it_stands_first(bench: MakeBench, fields: bytes, want: str) -> None:
    assert bench(expected=5).feed(with_fields(fields))[-1] == want


@pytest.mark.rule("F2", "R2")
@pytest.mark.parametrize(
    "fields",
    [
        encode([(35, "D"), (49, "OTHER"), (49, "PEER"), (56, "TAG34"), (34, 1)]),
        encode([(35, "D"), (49, "PEER"), (56, "OTHER"), (56, "TAG34"), (34, 1)]),
        encode([(35, "D"), (49, "PEER"), (34, 1), (11, "x"), (56, "TAG34")]),
        encode([(35, "D"), (56, "TAG34"), (34, 1), (58, "49=PEER"), (49, "PEER")]),
    ],
)
def test_F2_comp_ids_count_where_they_stand_first_in_the_header(bench: MakeBench, fields: bytes) -> None:
    assert bench().feed(frame(fields)) == ["R2 1 -> 1"]


@pytest.mark.rule("F2")
def test_F2_the_header_s_fields_may_stand_in_any_order(bench: MakeBench, rng: random.Random) -> None:
    b = bench()
    header: list[Field] = [
        (49, "PEER"),
        (56, "TAG34"),
        (43, "Y"),
        (97, "Y"),
        (52, "20240229-23:59:59"),
        (57, "x"),
        (90, 3),
    ]
    for seq in range(1, 60):
        fields: list[Field] = [*header, (34, seq)]
        rng.shuffle(fields)
        assert b.feed(frame(encode([(35, "D"), *fields, (11, "x")]))) == [f"deliver {seq}", f"R8 {seq} -> {seq + 1}"]
        assert (b.delivered[-1].possdup, b.delivered[-1].possresend) == (True, True)


@pytest.mark.rule("F2")
def test_F2_no_other_tag_leaves_the_header_open(bench: MakeBench) -> None:
    b = bench()
    others = [tag for tag in [*range(1200), 8_000, 34_000, 1_128_000, 34 + 2**32, 10**40] if tag not in HEADER_TAGS]
    for tag in others:
        assert b.feed(with_fields(b"%d=1\x0134=1\x01" % tag))[-1] == "R4 none -> 1", tag
        b.reconnect()


# F3

BODY = HEADER + b"58=x\x01"
TRAILERS = [
    b"10=12\x01x",
    b"10=1234",
    b"1x=000\x01",
    b"11=000\x01",
    b"10:000\x01",
    b"10=00x\x01",
    b"10=-01\x01",
    b"\x0110=00",
]


@pytest.mark.rule("F3")
@pytest.mark.parametrize(
    "garbled",
    [
        damaged_checksum(PEER.order(1)),
        frame(BODY, length=len(BODY) - 1),
        frame(BODY, length=len(BODY) + 1),
        frame(BODY, length=len(BODY) + 7),
        frame(b"34=1\x01" + HEADER),
        frame(b"3=5\x01" + HEADER),
        frame(b""),
        frame(b"35"),
        checksummed(b"8=FIX.4.4\x0135=D\x01" + b"9=%d\x01" % len(BODY) + BODY),
        checksummed(b"8=FIX.4.4\x01" + BODY),
        checksummed(b"8=FIX.4.4\x019=%d\x01" % (len(BODY) - 1) + BODY[:-1]),  # the last field is not closed
        b"8=FIX.4.4\x019=%d\x01%b10=999\x01" % (len(BODY), BODY),
        *(frame(BODY, length=length) for length in ("", "-5", "x", "5x", " 5", "1234567", "0000088", "8=")),
        *(b"8=FIX.4.4\x019=%d\x01%b%b" % (len(BODY), BODY, trailer) for trailer in TRAILERS),
    ],
)
def test_F3_garbled_changes_nothing_and_is_reported(bench: MakeBench, garbled: bytes) -> None:
    b = bench()
    before = b.device.state(0)
    b.feed(garbled)
    b.feed(b"x" * 20)
    assert b.device.state(0) == before
    assert b.delivered == []
    assert [(m.rule.id, m.msg_type, m.seq, m.possdup, m.offset) for m in b.messages] == [("F3", None, None, False, 0)]
    assert b.device.counters(0)["F3"] == 1
    assert b.feed(PEER.order(1)) == ["deliver 1", "R8 1 -> 2"]


@pytest.mark.rule("F3")
def test_F3_leading_zeros_of_body_length_are_legal(bench: MakeBench) -> None:
    b = bench()
    assert b.feed(frame(BODY, length=f"{len(BODY):06d}")) == ["deliver 1", "R8 1 -> 2"]


@pytest.mark.rule("F3")
def test_F3_the_shortest_message_is_not_garbled(bench: MakeBench) -> None:
    assert bench().feed(frame(b"35=0\x01")) == ["R2 none -> 1"]


# F4


@pytest.mark.rule("F4")
def test_F4_the_hunt_goes_on_from_the_declared_end(bench: MakeBench) -> None:
    b = bench()
    counted_trailer = frame(BODY, length=len(BODY) + 7)
    b.feed(counted_trailer, PEER.order(1))
    assert [(m.rule.id, m.offset, m.length) for m in b.messages] == [
        ("F3", 0, len(counted_trailer)),
        ("R8", len(counted_trailer), len(PEER.order(1))),
    ]


@pytest.mark.rule("F4")
def test_F4_a_message_inside_the_would_be_trailer_is_found(bench: MakeBench) -> None:
    b = bench()
    head = b"8=FIX.4.4\x019=%d\x01%b" % (len(BODY), BODY)
    b.feed(head + b"10=" + PEER.order(1))
    assert [(m.rule.id, m.offset, m.length) for m in b.messages] == [
        ("F3", 0, len(head)),
        ("R8", len(head) + 3, len(PEER.order(1))),
    ]


@pytest.mark.rule("F4")
def test_F4_nothing_inside_a_garbled_message_is_found(bench: MakeBench) -> None:
    b = bench()
    inner = PEER.order(1)
    outer = damaged_checksum(frame(BODY + encode([(96, inner)])))
    assert b.feed(outer) == ["F3 none -> 1"]
    assert b.messages[0].length == len(outer), "a well formed trailer goes with its message"


@pytest.mark.rule("F4")
@pytest.mark.parametrize(
    "start", [b"8=FIX.4.4\x01", b"8=FIX.4.4\x019=", b"8=FIX.4.4\x019=12", b"8=FIX8=FIX8=FIX.4.4\x019"]
)
def test_F4_without_a_length_it_goes_on_with_the_proving_byte(bench: MakeBench, start: bytes) -> None:
    b = bench()
    b.feed(start + PEER.order(1))
    assert [(m.rule.id, m.offset, m.length) for m in b.messages] == [
        ("F3", 0, len(start)),
        ("R8", len(start), len(PEER.order(1))),
    ]


@pytest.mark.rule("F4")
def test_F4_the_proving_byte_is_not_part_of_the_garbled_message(bench: MakeBench) -> None:
    b = bench()
    b.feed(b"8=FIX.4.4\x019=18x", b"8=FIX.4.4\x019=88=x", PEER.order(1))
    assert [(m.rule.id, m.offset, m.length) for m in b.messages[:2]] == [("F3", 0, 14), ("F3", 15, 13)]
    assert b.device.counters(0)["skipped"] == 1 + 3


@pytest.mark.rule("F4")
def test_F4_bytes_between_messages_are_skipped_and_counted(bench: MakeBench) -> None:
    b = bench()
    b.feed(b"8=FI", PEER.order(1), b"\r\n", PEER.order(2), b"8=FI" + b"8=FIX.4.4\x019=5")
    assert b.delivered[-1].seq == 2
    assert b.device.counters(0)["skipped"] == 4 + 2 + 4
    b.reconnect()
    assert b.device.counters(0)["skipped"] == 0, "counted per connection"


# F5


def sized(seq: int, size: int) -> bytes:
    """A message of this many bytes."""
    message = PEER.message("B", seq, [(58, "x" * size)])
    message = PEER.message("B", seq, [(58, "x" * (2 * size - len(message)))])
    assert len(message) == size
    return message


@pytest.mark.rule("F5")
def test_F5_the_longest_message_is_stored(bench: MakeBench) -> None:
    b = bench()
    message = sized(1, b.device.info.max_message)
    assert b.feed(message) == ["deliver 1", "R8 1 -> 2"]
    assert b.delivered[0].data == message


@pytest.mark.rule("F5")
def test_F5_a_longer_one_halts_the_session(bench: MakeBench) -> None:
    b = bench()
    assert b.feed(PEER.order(1), sized(2, b.device.info.max_message + 1), PEER.order(2)) == [
        "deliver 1",
        "R8 1 -> 2",
        "halted 2 F5",
        "F5 none -> 2",
        "R1 2 -> 2",
    ]
    assert b.phase is Phase.HALTED
    oversize = b.messages[1]
    assert (oversize.msg_type, oversize.possdup) == ("B", False)
    assert oversize.length == b.device.info.max_message + 1


@pytest.mark.rule("F5")
def test_F5_a_longer_one_that_is_garbled_is_garbled(bench: MakeBench) -> None:
    b = bench()
    long = sized(1, b.device.info.max_message + 1)
    unclosed = checksummed(b"8=FIX.4.4\x019=5000\x01" + HEADER + b"x" * (5000 - len(HEADER)))
    assert b.feed(damaged_checksum(long), unclosed, frame(b"34=1\x01" + b"x" * 5000 + b"\x01")) == ["F3 none -> 1"] * 3
    assert b.feed(PEER.order(1)) == ["deliver 1", "R8 1 -> 2"]


@pytest.mark.rule("F5")
@pytest.mark.parametrize("over", [0, 1, 2, 7, 4096, 65536])
def test_F5_around_the_longest_and_far_beyond(bench: MakeBench, over: int) -> None:
    b = bench()
    message = sized(1, b.device.info.max_message + over)
    assert b.feed(message) == (["halted 1 F5", "F5 none -> 1"] if over else ["deliver 1", "R8 1 -> 2"])
    assert (b.messages[0].offset, b.messages[0].length) == (0, len(message))
    b.reconnect()
    seq = b.expected
    assert b.feed(b.order(seq)) == [f"deliver {seq}", f"R8 {seq} -> {seq + 1}"]


@pytest.mark.rule("F5")
@pytest.mark.parametrize(
    ("msg_type", "seq", "fields"),
    [
        ("4", 5, [(36, 7)]),
        ("4", 5, [(36, 5)]),
        ("4", 5, [(36, 2)]),
        ("D", "0", []),
        ("A", 1, [(141, "Y")]),
        ("4", 5, [(123, "Y"), (36, 7)]),
        ("4", 5, [(123, "Y"), (36, 4)]),
        ("4", 3, [(123, "Y"), (36, 7)]),
        ("D", 3, []),
        ("A", 8, []),
        ("2", 8, [(7, 1), (16, 0)]),
        ("D", 8, []),
        ("D", 5000, []),
    ],
)
@pytest.mark.parametrize("possdup", [False, True])
def test_F5_whatever_a_longer_one_says(
    bench: MakeBench, msg_type: str, seq: int | str, fields: list[Field], possdup: bool
) -> None:
    """Each row of the table behind F5 would fit as well."""
    b = bench(expected=5)
    text = (58, "x" * b.device.info.max_message)
    assert b.feed(PEER.message(msg_type, seq, [*fields, text], possdup=possdup)) == ["halted 5 F5", "F5 none -> 5"]
    assert b.phase is Phase.HALTED


@pytest.mark.rule("F5", "F6")
def test_F5_the_longest_that_a_length_can_say(bench: MakeBench) -> None:
    """999999 bytes and a right CheckSum, then the same with a wrong one."""
    body = HEADER + b"58=" + b"x" * (999_999 - len(HEADER) - 4) + b"\x01"
    message = frame(body)
    b = bench()
    assert b.feed(damaged_checksum(message), b.order(1)) == ["F3 none -> 1", "deliver 1", "R8 1 -> 2"]
    assert b.feed(message) == ["halted 2 F5", "F5 none -> 2"]
    assert [m.length for m in b.messages] == [len(message), len(b.order(1)), len(message)]


@pytest.mark.rule("F4", "F5")
def test_F4_F5_nothing_of_a_message_counts_as_skipped_however_much_of_it_is_there(bench: MakeBench) -> None:
    b = bench()
    body = HEADER + b"58=" + b"x" * (999_999 - len(HEADER) - 4) + b"\x01"
    message = frame(body)
    b.feed(b"noise")
    at = 0
    for size in (1, 100, 4_000, 70_000, 200_000, 525_000, 983_100, 999_999, len(message)):
        assert b.feed(message[at:size]) == ([] if size < len(message) else ["halted 1 F5", "F5 none -> 1"])
        at = size
        assert b.device.counters(0)["skipped"] == (5 if size > 4 else 5 + size), size
    b.feed(b"more")
    assert b.device.counters(0)["skipped"] == 9


@pytest.mark.rule("F5", "R2", "R6")
def test_F5_nothing_of_it_is_judged(bench: MakeBench) -> None:
    """Before the Logon, by strangers, with any number: the session cannot go on."""
    b = bench(phase=Phase.LOGON)
    size = b.device.info.max_message + 1
    for peer in (PEER, Peer(sender="OTHER")):
        long = peer.message("B", "junk", [(58, "x" * size)], possdup=True)
        assert b.feed(long) == ["halted 1 F5", "F5 none -> 1"]
        b.reconnect(phase=Phase.LOGON)


@pytest.mark.rule("F5", "R1")
def test_F5_comes_behind_R1(bench: MakeBench) -> None:
    b = bench()
    b.device.disconnect(0)
    assert b.feed(sized(1, b.device.info.max_message + 1)) == ["R1 none -> 1"]
    assert b.phase is Phase.CLOSED


@pytest.mark.rule("F5")
def test_F5_a_begin_string_without_end(bench: MakeBench) -> None:
    b = bench()
    for _ in range(6):
        b.feed(b"8=FIX" + b"x" * 1000)
    assert b.feed(b"\x01" + PEER.order(1)) == ["F3 none -> 1", "deliver 1", "R8 1 -> 2"]


# F6


@pytest.mark.rule("F6")
@pytest.mark.parametrize(
    "noise",
    [
        b"\x01" * 500,
        random.Random(34).randbytes(2000),
        b"8=" * 300,
        b"8=FIX\x01" * 100 + b"x",
        b"10=000\x01" * 50,
        frame(b"", length=0),
        frame(b"x" * 200, length=3),
    ],
)
def test_F6_noise_delays_nothing(bench: MakeBench, noise: bytes) -> None:
    b = bench()
    b.feed(noise, PEER.order(1), PEER.order(2))
    assert [d.seq for d in b.delivered] == [1, 2]


@pytest.mark.rule("F6")
@pytest.mark.parametrize("length", ["999999", "0", "000000", "1", "5"])
def test_F6_no_length_hangs_or_loses_what_follows(bench: MakeBench, length: str) -> None:
    """All that it declares is passed over, valid messages included; the next one behind it is found."""
    b = bench()
    start = b"8=FIX.4.4\x019=" + length.encode() + b"\x01"
    before = b.state
    filling = (PEER.order(1) * (int(length) // len(PEER.order(1)) + 1))[: int(length)]
    assert b.feed(start, filling) == []
    assert b.state == before
    b.feed(b"\x01" * 20)
    assert b.feed(b.order(1), b.order(2))[-1] == "R8 2 -> 3"
    assert [m.length for m in b.messages] == [len(start) + len(filling), len(b.order(1)), len(b.order(2))]


@pytest.mark.rule("F6", "R15")
def test_F6_a_partial_message_is_forgotten_at_every_byte(bench: MakeBench) -> None:
    """However far the old connection got: nothing of it is in the new one's first message, in its sum or its place.

    And what would have been the rest of it means nothing on the new connection.
    """
    b = bench()
    for message in (PEER.order(9), PEER.logon(9, reset=True), PEER.gap_fill(9, 20, possdup=True)):
        for keep in range(1, len(message)):
            for rest in (b"", message[keep:]):
                b.device.set_expected(0, 1)
                assert b.feed(message[:keep]) == []
                b.reconnect()
                assert b.feed(rest, b.order(1)) == ["deliver 1", "R8 1 -> 2"], f"{keep} bytes of {message!r}"
                assert b.messages[-1].offset == b.device.counters(0)["skipped"] == len(rest)
                assert not b.messages[-1].possdup


@pytest.mark.rule("F6")
def test_F6_a_huge_length_swallows_what_it_declares_and_no_more(bench: MakeBench) -> None:
    b = bench()
    start = b"8=FIX.4.4\x019=009999\x01"
    swallowed = PEER.order(1) * 40
    b.feed(start + swallowed + b"x" * (9999 - len(swallowed)) + PEER.order(1))
    assert [(m.rule.id, m.length) for m in b.messages] == [("F3", len(start) + 9999), ("R8", len(PEER.order(1)))]


@pytest.mark.rule("F6")
@pytest.mark.parametrize("keep", [3, 12, 30, -8, -3, -1])
def test_F6_a_new_connection_clears_a_partial_message(bench: MakeBench, keep: int) -> None:
    b = bench()
    assert b.feed(PEER.order(1)[:keep]) == []
    b.reconnect()
    assert b.feed(PEER.order(1)) == ["deliver 1", "R8 1 -> 2"]
    assert b.messages[0].offset == 0
