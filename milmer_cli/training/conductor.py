"""When a training is judged, saved and stopped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

if TYPE_CHECKING:
    from milmer_cli.training.engine import Engine


class Conductor(TrainerCallback):
    """Says when to judge, to save and to stop."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.saved_at = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Count the step; save and stop in the middle of an epoch where that is wished."""
        engine = self.engine
        if engine.average:
            engine.average.follow(state.global_step)
        engine.task.progress.advance(engine.task.name)
        wishes = self._wishes()
        ends_epoch = state.global_step % (state.max_steps // args.num_train_epochs) == 0
        if not ends_epoch:
            control.should_save = any(wishes)
            control.should_training_stop = engine.interrupted = wishes[0]
        return control

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Judge, and save where saving is not too slow for it."""
        if not self.engine.interrupted:
            control.should_evaluate = True
            control.should_save = self._agree(self._is_worth_saving())
        return control

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Stop after this epoch when somebody wishes it or patience has run out."""
        self.engine.interrupted = self._wishes()[0]
        control.should_save |= self.engine.interrupted
        control.should_training_stop |= self.engine.interrupted or self.engine.run_out_of_patience
        return control

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Note the time."""
        self.saved_at = time.monotonic()
        return control

    def _is_worth_saving(self) -> bool:
        """Whether saving after each epoch takes no more than a tenth of the time."""
        since = time.monotonic() - self.saved_at
        return self.engine.saving_s < 1 or since > 10 * self.engine.saving_s

    def _wishes(self) -> tuple[bool, bool]:
        """Whether any process wants to stop, and whether it is time for a checkpoint."""
        engine = self.engine
        late = time.monotonic() - self.saved_at > 60 * engine.task.run.checkpoint_min
        save = late and engine.task.folder is not None
        return self._agree(engine.wish.asked), self._agree(save)

    def _agree(self, wish: bool) -> bool:
        """Whether any process has this wish."""
        if self.engine.world == 1:
            return wish
        flag = torch.tensor(int(wish), device=self.engine.args.device)
        return bool(self.engine.accelerator.reduce(flag).item())
