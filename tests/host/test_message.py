"""Messages: what is seen in received bytes, what is made of the application's fields."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tag34 import FixMessage
from tag34.message import Value, application_fields, encode_fields, first_message, header_value
from tag34_sim.messages import encode, frame

RAW = b"8=FIX.4.4\x019=9\x0135=8\x0155=ABC\x0144=1.50\x01453=2\x01448=a\x01448=b\x01"


def test_fields_in_order_and_by_tag() -> None:
    message = FixMessage(RAW)
    assert list(message)[:3] == [(8, "FIX.4.4"), (9, "9"), (35, "8")]
    assert message[44] == "1.50"
    assert message[448] == "a"
    assert message.get_all(448) == ["a", "b"]
    assert message.get(11) is None
    assert message.get(11, "none") == "none"
    assert message.get_bytes(55) == b"ABC"
    assert message.get_int(453) == 2
    assert message.get_int(44) is None
    assert 55 in message
    assert 56 not in message
    with pytest.raises(KeyError):
        message[56]


def test_messages_are_values() -> None:
    assert FixMessage(RAW) == FixMessage(bytes(RAW))
    assert len({FixMessage(RAW), FixMessage(RAW)}) == 1
    assert repr(FixMessage(b"8=FIX\x01")) == "<FixMessage 8=FIX|>"


def test_data_fields_may_hold_anything() -> None:
    message = FixMessage(b"95=7\x0196=a\x0134=9\x01\x0134=5\x01")
    assert message.fields == ((95, b"7"), (96, b"a\x0134=9\x01"), (34, b"5"))


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b"95=9\x0196=ab\x0134=5\x01", ((95, b"9"), (96, b"ab"), (34, b"5"))),  # a length that is wrong is not believed
        (b"95=x\x0196=ab\x01", ((95, b"x"), (96, b"ab"))),
        (b"95=1\x0155=q\x0196=ab\x01", ((95, b"1"), (55, b"q"), (96, b"ab"))),  # not right before its data
        (b"abc\x0134=5\x01", ((0, b"abc"), (34, b"5"))),
        (b"=5\x01", ((0, b"=5"),)),
        (b"x=5\x01", ((0, b"x=5"),)),
        (b"58=a=b\x01", ((58, b"a=b"),)),
        (b"58=\x01", ((58, b""),)),
        (b"58=open", ((58, b"open"),)),
        (b"", ()),
    ],
)
def test_odd_fields(raw: bytes, fields: tuple[tuple[int, bytes], ...]) -> None:
    assert FixMessage(raw).fields == fields


def test_bytes_that_are_no_ascii_can_be_read() -> None:
    assert FixMessage(b"58=\xe9\x01")[58] == "\xe9"


@pytest.mark.rule("F2")
def test_header_value() -> None:
    raw = b"8=FIX.4.4\x019=9\x0135=8\x0152=now\x01122=then\x0110=1\x01"
    assert header_value(raw, 52) == b"now"
    assert header_value(raw, 122) == b"then"
    assert header_value(raw, 22) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", b"x"),
        (b"\xe9", b"\xe9"),
        (True, b"Y"),
        (False, b"N"),
        (-5, b"-5"),
        (Decimal("1E-8"), b"0.00000001"),
        (Decimal("1.50"), b"1.50"),
    ],
)
def test_values(value: Value, text: bytes) -> None:
    assert encode_fields({58: value}) == b"58=" + text + b"\x01"


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({44: 0.1}, TypeError, "field 44.*not float"),
        ({44: None}, TypeError, "field 44"),
        ({44: Decimal("NaN")}, ValueError, "field 44"),
        ({58: "\xe9"}, ValueError, "field 58.*not ASCII"),
        ({58: ""}, ValueError, "field 58 is empty"),
        ({58: "a\x0134=7"}, ValueError, "field 58 holds SOH"),
        ([(95, 2), (96, "a\x01b")], ValueError, "field 96 holds SOH"),
        ({0: "x"}, ValueError, "not a tag"),
        ({"55": "x"}, ValueError, "not a tag"),
        ({True: "x"}, ValueError, "not a tag"),
    ],
)
def test_fields_that_cannot_be_sent(fields: dict[int, Value], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        encode_fields(fields)


@pytest.mark.rule("S1")
def test_header_fields_go_first() -> None:
    given = [(55, "X"), (50, "desk"), (91, "\x01!"), (448, "a"), (448, "b"), (57, "floor")]
    given.insert(2, (90, "2"))
    assert encode_fields(given) == b"50=desk\x0157=floor\x0190=2\x0191=\x01!\x0155=X\x01448=a\x01448=b\x01"


@pytest.mark.rule("S1")
@pytest.mark.parametrize("tag", [8, 9, 10, 34, 35, 43, 49, 52, 56, 122])
def test_the_session_layers_fields_are_its_own(tag: int) -> None:
    with pytest.raises(ValueError, match=f"field {tag} is written by the session layer"):
        application_fields({55: "X", tag: "1"})


LOGON = frame(encode([(35, "A"), (49, "A"), (56, "B"), (34, 1), (98, 0)]))


@pytest.mark.rule("H1")
def test_first_message_is_complete_with_its_last_byte() -> None:
    for size in range(len(LOGON)):
        assert first_message(LOGON[:size], 4096) is None
    assert first_message(LOGON, 4096) == LOGON
    assert first_message(LOGON + b"8=FIX", 4096) == LOGON


@pytest.mark.rule("H1")
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"GET / HTTP/1.1\r\n", "does not begin"),
        (b"8=FAX", "does not begin"),
        (b"8=FIX" + b"x" * 100, "no BodyLength"),
        (b"8=FIX.4.4\x0135=A\x01", "no BodyLength"),
        (b"8=FIX.4.4\x019=x\x01", "no BodyLength"),
        (b"8=FIX.4.4\x019=9999999\x01", "no BodyLength"),
        (b"8=FIX.4.4\x019=5000\x01", "more than 4096"),
        (LOGON[:-2] + b"x\x01", "garbled"),
    ],
)
def test_first_message_that_will_never_be_one(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        first_message(data, 4096)
