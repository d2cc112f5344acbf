"""Slots: every slot is current, owned or free, never two of them, and none is ever lost."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tag34_hdl.layouts import Shape
from tag34_hdl.session.slots import Slots
from tests.hdl.bench import simulate

#: Cycles within which a slot that was given back is current if there is none.
REUSE = 3


class Driver:
    """Takes, frees, writes and reads; watches who owns what."""

    def __init__(self, dut: Slots, ctx: Any, rng: random.Random):
        self.dut, self.ctx, self.rng = dut, ctx, rng
        self.owned: list[int] = []
        self.contents: dict[int, dict[int, int]] = {}  # slot -> offset -> byte
        self.without = 0  # cycles without a current slot although some are free

    async def cycle(
        self, *, take: bool = False, free: int | None = None, offset: int = 0, byte: int | None = None
    ) -> None:
        """One cycle; a take without a current slot is left out."""
        dut, ctx = self.dut, self.ctx
        has, current = ctx.get(dut.has_current), ctx.get(dut.current)
        take = take and bool(has)
        ctx.set(dut.take, take)
        ctx.set(dut.free.valid, free is not None)
        ctx.set(dut.free.payload, free or 0)
        writes = byte is not None and has
        ctx.set(dut.write, writes)
        ctx.set(dut.write_offset, offset)
        ctx.set(dut.write_data, byte or 0)
        await ctx.tick()
        if byte is not None and has:
            self.contents.setdefault(current, {})[offset] = byte
        if take:
            self.owned.append(current)
        if free is not None:
            self.owned.remove(free)
        has, now = ctx.get(dut.has_current), ctx.get(dut.current)
        if has:
            self.without = 0
            assert now not in self.owned, "a slot is not given away twice"
            assert 0 <= now < dut.shape.slots
            if not take and now != current:
                assert not self.owned_before, "the current slot stays current until it is taken"
        else:
            self.without += len(self.owned) < dut.shape.slots
            assert self.without <= REUSE
        self.owned_before = bool(has)

    owned_before = False

    async def settle(self) -> None:
        """The list of free slots is filled after the reset, one per cycle."""
        for _ in range(self.dut.shape.slots):
            if self.ctx.get(self.dut.free.ready):
                return
            await self.cycle()
        assert self.ctx.get(self.dut.free.ready)


@pytest.mark.rule("R10")
@pytest.mark.parametrize("shape", [Shape(window=2, max_message=64), Shape(window=8, max_message=64, hold=5)], ids=str)
def test_every_slot_can_be_owned_and_comes_back(shape: Shape, rng: random.Random) -> None:
    dut = Slots(shape)

    async def testbench(ctx: Any) -> None:
        driver = Driver(dut, ctx, rng)
        await driver.settle()
        for _ in range(5):
            for _ in range(4 * shape.slots):
                await driver.cycle(take=True)
            assert sorted(driver.owned) == list(range(shape.slots))
            assert not ctx.get(dut.has_current)
            rng.shuffle(driver.owned)
            for slot in list(driver.owned):
                assert ctx.get(dut.free.ready), "there is room for every slot"
                await driver.cycle(free=slot)
            for _ in range(REUSE):
                await driver.cycle()
            assert ctx.get(dut.has_current)

    simulate(dut, testbench)


def test_the_first_slot_is_current_from_the_start() -> None:
    dut = Slots(Shape(window=2, max_message=64))

    async def testbench(ctx: Any) -> None:
        assert ctx.get(dut.has_current)

    simulate(dut, testbench)


def test_takes_right_after_the_reset(rng: random.Random) -> None:
    shape = Shape(window=4, max_message=64)
    dut = Slots(shape)

    async def testbench(ctx: Any) -> None:
        driver = Driver(dut, ctx, rng)
        for _ in range(3 * shape.slots):
            await driver.cycle(take=True)
        assert sorted(driver.owned) == list(range(shape.slots))

    simulate(dut, testbench)


@pytest.mark.rule("R10")
def test_bytes_stay_with_their_slot(rng: random.Random) -> None:
    shape = Shape(window=4, max_message=64)
    dut = Slots(shape)

    async def testbench(ctx: Any) -> None:
        driver = Driver(dut, ctx, rng)
        await driver.settle()
        reading: int | None = None  # what the last enabled cycle has addressed
        shown: int | None = None
        for _ in range(1500):
            free = rng.choice(driver.owned) if driver.owned and rng.random() < 0.06 else None
            # One may be read while another one is written.
            reads = [
                (slot, offset) for slot in driver.owned for offset in driver.contents.get(slot, {}) if slot != free
            ]
            slot, offset = rng.choice(reads) if reads else (0, 0)
            enabled = bool(reads) and rng.random() < 0.5
            ctx.set(dut.read_enable, enabled)
            ctx.set(dut.read_slot, slot)
            ctx.set(dut.read_offset, offset)
            addressed = driver.contents[slot][offset] if enabled else None
            await driver.cycle(take=rng.random() < 0.06, free=free, offset=rng.randrange(64), byte=rng.randrange(256))
            if enabled:
                shown, reading = reading, addressed
            assert shown in (None, ctx.get(dut.read_data)), "they appear with the second enabled cycle"

    simulate(dut, testbench)


def test_a_memory_of_several_blocks(rng: random.Random) -> None:
    """Every slot's first and last bytes, in a memory that is larger than one bank of blocks."""
    shape = Shape(window=8, max_message=1024)
    dut = Slots(shape)

    async def testbench(ctx: Any) -> None:
        driver = Driver(dut, ctx, rng)
        await driver.settle()
        places = (0, 1, 1022, 1023)
        for _ in range(shape.slots):
            for offset in places:
                await driver.cycle(offset=offset, byte=rng.randrange(256))
            await driver.cycle(take=True)
            await driver.cycle()
        assert sorted(driver.contents) == list(range(shape.slots))
        addresses = [(slot, offset) for slot in range(shape.slots) for offset in places]
        rng.shuffle(addresses)
        read = []
        ctx.set(dut.read_enable, 1)
        for slot, offset in [*addresses, (0, 0)]:
            ctx.set(dut.read_slot, slot)
            ctx.set(dut.read_offset, offset)
            await ctx.tick()
            read.append(ctx.get(dut.read_data))
        assert read[1:] == [driver.contents[slot][offset] for slot, offset in addresses]

    simulate(dut, testbench)


@pytest.mark.rule("R17")
def test_sessions_have_current_slots_of_their_own_and_none_is_lost(rng: random.Random) -> None:
    """The framer changes between sessions while slots run out and come back; then all of them are still there."""
    shape = Shape(sessions=3, window=2, max_message=64, hold=1)
    dut = Slots(shape)
    owned: list[int] = []
    currents: dict[int, int | None] = {}

    def give_back(ctx: Any) -> None:
        frees = bool(owned) and rng.random() < 0.3
        ctx.set(dut.free.valid, frees)
        ctx.set(dut.free.payload, owned.pop(rng.randrange(len(owned))) if frees else 0)

    async def testbench(ctx: Any) -> None:
        await ctx.tick().repeat(shape.slots + 1)
        session = 0
        for _ in range(3000):
            has, current = ctx.get(dut.has_current), ctx.get(dut.current)
            if has and currents.get(session) is not None:
                assert current == currents[session], "it is kept while others have their turn"
            currents[session] = current if has else None
            others = [slot for other, slot in currents.items() if other != session and slot is not None]
            assert not has or current not in owned + others
            change, take = rng.random() < 0.3, rng.random() < 0.3
            ctx.set(dut.take, 0)
            ctx.set(dut.switch, 0)
            if change:  # one cycle to find the word, one to change to it
                following = rng.randrange(shape.sessions)
                ctx.set(dut.next_session, following)
                give_back(ctx)
                await ctx.tick()
                has, current = ctx.get(dut.has_current), ctx.get(dut.current)
                currents[session] = current if has else None
                ctx.set(dut.switch, following != session)
                ctx.set(dut.session, session)
                session = following
            elif take and has:
                ctx.set(dut.take, 1)
                owned.append(current)
                currents[session] = None
            give_back(ctx)
            await ctx.tick()
        ctx.set(dut.take, 0)
        ctx.set(dut.switch, 0)
        ctx.set(dut.free.valid, 0)
        await ctx.tick()
        # All that nobody owns can be taken: by the session at hand, but for those that are current elsewhere.
        elsewhere = [slot for other, slot in currents.items() if other != session and slot is not None]
        others = [s for s in range(shape.sessions) if s not in currents]
        found = set(owned) | set(elsewhere) | set(others)
        for _ in range(4 * shape.slots):
            has = ctx.get(dut.has_current)
            if has:
                found.add(ctx.get(dut.current))
            ctx.set(dut.take, has)
            await ctx.tick()
        assert found == set(range(shape.slots))

    simulate(dut, testbench, cycles=20_000)
