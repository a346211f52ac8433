"""Requests to stop by signals."""

from __future__ import annotations

import os
import signal

import pytest

from milmer_cli.training.graceful_stop import StopRequest


def test_stop_request_records_the_first_interrupt_and_the_second_interrupts():
    request = StopRequest()
    with request.listening():
        assert not request.received
        os.kill(os.getpid(), signal.SIGINT)
        assert request.received
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_stop_request_is_never_interrupted_by_sigterm():
    request = StopRequest()
    with request.listening():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):  # Slurm, then torchrun
            os.kill(os.getpid(), number)
        assert request.received


def test_stop_request_leaves_the_handlers_unchanged_if_disabled():
    with StopRequest().listening(enabled=False):
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
