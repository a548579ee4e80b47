"""`timex`: what the kernel thinks of its own clock: is it synchronised, how far may it be wrong, how is it steered.

The kernel is asked by adjtimex, which would also set things, but with `modes` 0 only tells.
"""

import ctypes
import errno
import os
from collections.abc import Callable, Iterable

from exporter.collectors.files import Paths
from exporter.collectors.options import Option
from exporter.family import Family, Shape, Type
from exporter.outcome import Absent

# What adjtimex returns when the clock is not synchronised, and the bit of `status` for nanoseconds.
TIME_ERROR = 5
STATUS_NANOSECONDS = 0x2000
NANOSECONDS = 1_000_000_000
MICROSECONDS = 1_000_000
# The kernel writes frequencies in millionths, with 16 bits behind the point.
FREQUENCY = MICROSECONDS * 65536


class Reading(ctypes.Structure):
    """The kernel's `struct timex`."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("microseconds", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long),
        ("jitcnt", ctypes.c_long),
        ("calcnt", ctypes.c_long),
        ("errcnt", ctypes.c_long),
        ("stbcnt", ctypes.c_long),
        ("tai", ctypes.c_int),
        ("reserved", ctypes.c_int * 11),
    )


def _shape(name: str, kind: Type, description: str) -> Shape:
    return Shape(f"node_timex_{name}", kind, description)


SYNC_STATUS = _shape("sync_status", "gauge", "1 where the clock is synchronised to a reliable one, 0 where it is not.")
OFFSET = _shape("offset_seconds", "gauge", "How far this clock is behind the one that it follows.")
JITTER = _shape("pps_jitter_seconds", "gauge", "Jitter of the pulse per second.")
# Shown as the kernel has it, or divided by what makes it the base unit.
AS_IT_IS = (
    ("status", _shape("status", "gauge", "Bits of the clock's status.")),
    ("constant", _shape("loop_time_constant", "gauge", "Time constant of the phase-locked loop.")),
    ("shift", _shape("pps_shift_seconds", "gauge", "Length of the interval over which the pulse is calibrated.")),
    ("jitcnt", _shape("pps_jitter_total", "counter", "How often the jitter of the pulse was beyond its limit.")),
    ("calcnt", _shape("pps_calibration_total", "counter", "Intervals over which the pulse was calibrated.")),
    ("errcnt", _shape("pps_error_total", "counter", "Calibrations of the pulse that failed.")),
    ("stbcnt", _shape("pps_stability_exceeded_total", "counter", "How often the pulse wandered beyond its limit.")),
    ("tai", _shape("tai_offset_seconds", "gauge", "How far International Atomic Time is ahead of UTC.")),
)
DIVIDED = (
    ("maxerror", MICROSECONDS, _shape("maxerror_seconds", "gauge", "How far the clock may be wrong at most.")),
    ("esterror", MICROSECONDS, _shape("estimated_error_seconds", "gauge", "How far the clock probably is wrong.")),
    ("tick", MICROSECONDS, _shape("tick_seconds", "gauge", "Time between two ticks of the clock.")),
    ("ppsfreq", FREQUENCY, _shape("pps_frequency_hertz", "gauge", "Frequency of the pulse per second.")),
    ("stabil", FREQUENCY, _shape("pps_stability_hertz", "gauge", "How much the pulse's frequency wandered of late.")),
)
ADJUSTMENT = _shape("frequency_adjustment_ratio", "gauge", "How much faster the clock is made to run; 1 is unchanged.")


class Timex:
    name = "timex"
    help = "State and accuracy of the kernel's clock, from adjtimex."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths, *, ask: Callable[[Reading], int] | None = None) -> None:  # noqa: ARG002
        self._ask = ask or kernel()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        reading = Reading()
        try:
            state = self._ask(reading)
        except PermissionError:
            raise Absent("asking the kernel about its clock is not allowed here") from None
        parts = NANOSECONDS if reading.status & STATUS_NANOSECONDS else MICROSECONDS
        families = [
            SYNC_STATUS.single(0 if state == TIME_ERROR else 1),
            OFFSET.single(reading.offset / parts),
            JITTER.single(reading.jitter / parts),
            ADJUSTMENT.single(1 + reading.freq / FREQUENCY),
        ]
        families.extend(shape.single(getattr(reading, field)) for field, shape in AS_IT_IS)
        families.extend(shape.single(getattr(reading, field) / divisor) for field, divisor, shape in DIVIDED)
        return families


def kernel() -> Callable[[Reading], int]:
    """adjtimex, or what says that there is none here."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "adjtimex", None)

    def ask(reading: Reading) -> int:
        if function is None:
            raise OSError(errno.ENOSYS, "the C library has no adjtimex")
        state: int = function(ctypes.byref(reading))
        if state < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"adjtimex: {os.strerror(number)}")
        return state

    return ask
