"""Being asked to stop: a SIGTERM (Slurm's) and the first Ctrl-C are wishes, the second an order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopWish:
    """Whether somebody has asked to stop."""

    asked = False


@contextmanager
def stop_wishes(enabled: bool) -> Iterator[StopWish]:
    """Note SIGTERM and the first SIGINT instead of being broken off by them.

    A SIGTERM never is an order: Slurm sends it to all processes of a job and torchrun again to its
    workers, also after a Ctrl-C; both kill what has not ended in time.

    Parameters
    ----------
    enabled
        False leaves the signals as they are; so does any thread but the main one.
    """
    wish = StopWish()
    if not enabled or threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def note(number: int, frame: FrameType | None) -> None:
        wish.asked = True
        if number == signal.SIGINT:
            signal.signal(number, before[signal.SIGINT])

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
