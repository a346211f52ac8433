"""Being asked to stop: the first Ctrl-C (or Slurm's SIGTERM) is a wish, the second an order."""

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
    """Note the first SIGINT and the first SIGTERM instead of being broken off by them.

    They are counted apart, for torchrun answers a Ctrl-C, which its workers get as well, by sending
    them a SIGTERM: that is the same wish.

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
        signal.signal(number, before[signal.Signals(number)])

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
