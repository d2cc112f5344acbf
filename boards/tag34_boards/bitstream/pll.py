"""A PLL of ECP5 that multiplies the board's clock by a fraction."""

from fractions import Fraction

from amaranth import ClockDomain, ClockSignal, Const, Elaboratable, Instance, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

#: The oscillator has to be within these limits, and is best in the middle.
VCO_MHZ = (400, 800)


def vco_divider(output_mhz: float) -> int:
    """By what the oscillator's clock is divided for an output, so that it is as near to the middle as it can be.

    Raises ValueError if there is no such divider.
    """
    low, high = VCO_MHZ
    dividers = [divider for divider in range(1, 129) if low <= output_mhz * divider <= high]
    if not dividers:
        raise ValueError(f"no PLL of ECP5 makes {output_mhz:g} MHz")
    return min(dividers, key=lambda divider: abs(output_mhz * divider - (low + high) / 2))


class Ecp5Pll(Elaboratable):
    """Makes the domain ``sync`` of the platform's default clock.

    Parameters: ``factor``: the clock of ``sync`` is so many times that of the board.

    ``sync`` is in reset until the PLL has locked.
    """

    def __init__(self, factor: Fraction):
        self.factor = factor

    def elaborate(self, platform) -> Module:
        m = Module()
        frequency = platform.default_clk_frequency
        output_mhz = float(frequency * self.factor / 1e6)
        divider = vco_divider(output_mhz)
        m.submodules.clock_pin = clock_pin = io.Buffer("i", platform.request(platform.default_clk, dir="-"))
        clock = Signal()
        locked = Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            # The last two choose the loop filter, the frequencies are told to whoever reads the netlist.
            a_FREQUENCY_PIN_CLKI=f"{frequency / 1e6:g}",
            a_FREQUENCY_PIN_CLKOP=f"{output_mhz:g}",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            p_CLKI_DIV=self.factor.denominator,
            p_CLKFB_DIV=self.factor.numerator,
            p_CLKOP_DIV=divider,
            p_CLKOP_ENABLE="ENABLED",
            # The edges of output and input together.
            p_CLKOP_CPHASE=divider - 1,
            p_CLKOP_FPHASE=0,
            p_FEEDBK_PATH="CLKOP",
            p_PLLRST_ENA="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            i_CLKI=clock_pin.i,
            i_CLKFB=clock,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(1),
            i_PHASESTEP=Const(1),
            i_PHASELOADREG=Const(1),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            o_CLKOP=clock,
            o_LOCK=locked,
        )
        m.domains.sync = ClockDomain()
        m.d.comb += ClockSignal().eq(clock)
        m.submodules.reset_sync = ResetSynchronizer(~locked, domain="sync")
        return m
