"""Which of several processes this one is, before and outside of `fit`."""

from __future__ import annotations

from dataclasses import dataclass

from accelerate import PartialState

from milmer_cli.compute import Compute


@dataclass(frozen=True)
class Processes:
    """The processes that torchrun or ``accelerate launch`` started side by side; usually one."""

    state: PartialState

    @classmethod
    def join(cls, compute: Compute) -> Processes:
        """Meet the others."""
        return cls(PartialState(cpu=compute.device == "cpu"))

    @property
    def rank(self) -> int:
        """Number of this one, from 0."""
        return int(self.state.process_index)

    @property
    def world(self) -> int:
        """How many there are."""
        return int(self.state.num_processes)

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until all have come here."""
        self.state.wait_for_everyone()
