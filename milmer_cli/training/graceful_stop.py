"""Stop requests: SIGTERM and the first Ctrl-C let a training save a checkpoint before it ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Records whether the training was asked to stop.

    Attributes
    ----------
    received
        Whether a signal arrived while `listening`.
    """

    def __init__(self) -> None:
        self.received = False

    @contextmanager
    def listening(self, enabled: bool = True) -> Iterator[None]:
        """Record SIGTERM and the first SIGINT instead of being interrupted by them.

        A second SIGINT interrupts. SIGTERM never does, however often it arrives: Slurm sends it to
        all processes of a job and torchrun sends it to its workers again, also after a Ctrl-C.
        Both kill the processes that do not end in time.

        Parameters
        ----------
        enabled
            False leaves the signal handlers unchanged, as does any thread but the main thread.
        """
        if not enabled or threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers = {number: signal.getsignal(number) for number in SIGNALS}

        def record(number: int, frame: FrameType | None) -> None:
            self.received = True
            if number == signal.SIGINT:
                signal.signal(number, handlers[signal.SIGINT])

        for number in SIGNALS:
            signal.signal(number, record)
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
