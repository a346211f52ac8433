"""How a process ends: on SIGTERM like after Ctrl-C, and always together with its parent."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

PARENT_VARIABLE = "MILMER_PARENT"
"""Environment variable with the process whose end also ends a process that it starts."""
WATCH_INTERVAL_S = 0.5
REPEAT_S = 0.1
"""Time after which a discarded interruption is repeated."""


class Terminated(KeyboardInterrupt):
    """SIGTERM was received. All code that handles Ctrl-C handles it in the same way."""


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Raise `Terminated` in the main thread when SIGTERM arrives; in other threads do nothing.

    Python discards an exception in a finalizer or in a callback of a weak reference. An
    interruption that arrives there is repeated.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, _terminate)
    previous_hook = sys.unraisablehook

    def hook(discarded: sys.UnraisableHookArgs) -> None:
        if isinstance(discarded.exc_value, KeyboardInterrupt):
            _repeat_interruption(discarded.exc_value)
        else:
            previous_hook(discarded)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = previous_hook
        signal.signal(signal.SIGTERM, previous)


def _repeat_interruption(interruption: KeyboardInterrupt) -> None:
    is_sigterm = isinstance(interruption, Terminated)
    number = signal.SIGTERM if is_sigterm else signal.SIGINT
    timer = threading.Timer(REPEAT_S, _signal_main_thread, (number,))
    timer.daemon = True
    timer.start()


def _signal_main_thread(number: int) -> None:
    main = threading.main_thread().ident
    if sys.platform == "win32" or main is None:
        signal.raise_signal(number)
    else:
        signal.pthread_kill(main, number)  # a signal of this thread would not end a wait


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def ignore_stop_signals() -> None:
    """Ignore Ctrl-C and SIGTERM, because another process, or an earlier signal, ends this one."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def child_environment() -> Mapping[str, str]:
    """Return the environment of a ``milmer`` process that must not outlive this process."""
    return {**os.environ, PARENT_VARIABLE: str(os.getpid())}


def watch_given_parent() -> None:
    """Watch the parent that `child_environment` names; without one do nothing."""
    if parent := os.environ.pop(PARENT_VARIABLE, ""):  # not for the processes that this one starts
        watch_parent(int(parent))


def watch_parent(parent: int) -> None:
    """End this process as soon as its parent has ended, even if the parent was killed.

    A thread waits for the end. The signal that Linux can send at the end of a parent is not used:
    it is sent at the end of the thread that started the process.

    Parameters
    ----------
    parent
        Process identifier of the parent.
    """
    threading.Thread(target=_exit_after, args=(parent,), name="watch-parent", daemon=True).start()


def _exit_after(parent: int) -> None:
    if sys.platform == "win32":  # the identifier of the parent does not change when it ends
        import _winapi

        handle = _winapi.OpenProcess(0x100000, False, parent)  # SYNCHRONIZE
        _winapi.WaitForSingleObject(handle, _winapi.INFINITE)
    else:
        while os.getppid() == parent:
            time.sleep(WATCH_INTERVAL_S)
    os._exit(1)  # the work of this process has no receiver
