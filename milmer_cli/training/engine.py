"""transformers' Trainer, with the parts exchanged that decide what is computed and kept."""

from __future__ import annotations

import json
import math
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from accelerate.utils.memory import should_reduce_batch_size
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from transformers import PrinterCallback, Trainer

from milmer_cli.errors import InputError, MilmerError
from milmer_cli.metrics import values
from milmer_cli.training import checkpoints
from milmer_cli.training.average import MovingAverage, learned
from milmer_cli.training.conductor import Conductor
from milmer_cli.training.history import Epoch, best_of
from milmer_cli.training.optimizer import parameter_groups
from milmer_cli.training.predictions import Batch, log_softmax, outputs_of_share
from milmer_cli.training.sampler import IGNORED, EpochBatches, EpochLoader, WithGhosts
from milmer_cli.training.stopping import StopWish
from milmer_cli.training.task import Task, training_arguments
from milmer_cli.training.trackers import tracker_callbacks

STATE = "milmer.json"
CHECK_EVERY = 20
"""Steps between looks at the loss on an accelerator, where each look waits for the device."""


class Engine(Trainer):
    """Trains one model; `history` grows by a row an epoch, the best weights are kept aside."""

    optimizer: Any
    control: Any

    def __init__(
        self,
        model: nn.Module,
        train_data: Dataset[Batch],
        validation_data: Dataset[Batch],
        task: Task,
    ) -> None:
        self.task = task
        self.wish = StopWish()
        self.history: list[Epoch] = []
        self.interrupted = False
        self.waiting_s = 0.0
        self.judging_s = 0.0
        self.micro_batch = task.run.micro_batch
        self._best: dict[str, torch.Tensor] = {}
        self._best_on_disk = 0
        self.saving_s = 0.0
        super().__init__(
            model=model,
            args=training_arguments(task),
            data_collator=task.collate,
            train_dataset=train_data,
            eval_dataset=validation_data,
            compute_loss_func=self._loss,
            callbacks=[Conductor(self), *tracker_callbacks(task.run.report_to, task.out)],
        )
        self.remove_callback(PrinterCallback)
        real = torch.float32 if self.args.device.type == "mps" else torch.float64
        # sums over the samples of this epoch: loss, right guesses, samples
        self._sums = torch.zeros(3, dtype=real, device=self.args.device)
        self._weights = (
            None if task.class_weights is None else task.class_weights.to(self.args.device)
        )
        self.average: MovingAverage | None = None
        if task.recipe.ema_decay:
            plain = self.accelerator.unwrap_model(self.model)
            self.average = MovingAverage(plain, task.recipe.ema_decay)

    # what a step sees

    @property
    def world(self) -> int:
        """Number of processes."""
        return self.accelerator.num_processes

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes and talks."""
        return self.accelerator.is_main_process

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Load the batches that `EpochBatches` lists."""
        data: Any = self.train_dataset
        batches = EpochBatches(
            len(data),
            self.task.recipe.batch_size,
            self.task.seed,
            self.accelerator.process_index,
            self.world,
        )
        workers = self.args.dataloader_num_workers
        return EpochLoader(
            WithGhosts(data) if self.world > 1 else data,
            batch_sampler=batches,
            collate_fn=self.task.collate,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=self.args.dataloader_pin_memory,
            # its own generator: the number of workers must not move the one that dropout draws from
            generator=torch.Generator().manual_seed(self.task.seed),
        )

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch the samples of a step, and time it."""
        start = time.perf_counter()
        batch = super().get_batch_samples(*args, **kwargs)
        self.waiting_s += time.perf_counter() - start
        return batch

    def _prepare_inputs(self, inputs: Batch) -> Batch:
        batch = super()._prepare_inputs({k: v for k, v in inputs.items() if k != "index"})
        labels = batch.pop("labels")
        return {**self.task.prepare(batch, True), "labels": labels}

    # what a step computes

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW over `parameter_groups`."""
        if self.optimizer is None:
            fused = self.args.device.type in ("cpu", "cuda")
            groups = parameter_groups(model or self.model, self.task.recipe)
            self.optimizer = torch.optim.AdamW(groups, fused=fused)
        return self.optimizer

    def _loss(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor
    ) -> torch.Tensor:
        """Cross-entropy, as this process's part of the mean over the samples of all processes."""
        logits = outputs.logits.float()
        total = functional.cross_entropy(
            logits,
            labels,
            self._weights,
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=self.task.recipe.label_smoothing,
        )
        right = (logits.argmax(dim=1) == labels).sum()
        self._sums += torch.stack([total.detach(), right, (labels != IGNORED).sum()])
        return total / num_items_in_batch

    def training_step(
        self, model: nn.Module, inputs: Batch, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Forward and backward over the samples of a step, in pieces where memory asks for it."""
        n_samples = len(inputs["labels"])
        sums = self._sums.clone()
        while True:
            size = min(self.micro_batch or n_samples, n_samples)
            try:
                loss = self._in_pieces(model, inputs, num_items_in_batch, size)
                break
            except RuntimeError as error:
                if not should_reduce_batch_size(error):
                    raise
                if size == 1 or self.world > 1:
                    raise MilmerError(
                        f"{self.args.device} has not enough memory for {size} samples at once.",
                        "Set run.micro_batch to a smaller number, or take a smaller backbone.",
                    ) from error
            # outside of the except block, where the error still holds on to the tensors
            self._sums.copy_(sums)
            model.zero_grad()
            if self.args.device.type == "cuda":
                torch.cuda.empty_cache()
            self.micro_batch = math.ceil(size / 2)
            self.task.progress.note(
                f"Out of memory with {size} samples at once: going on with {self.micro_batch}, "
                f"added up to the same batch of {self.task.recipe.batch_size}.",
                "warning",
            )
        step = self.state.global_step
        if self.args.device.type == "cpu" or step % CHECK_EVERY == 0:
            self._refuse_unless_finite(loss, f"in step {step + 1}")
        return loss

    def _in_pieces(self, model: nn.Module, inputs: Batch, n_items: Any, size: int) -> torch.Tensor:
        starts = range(0, len(inputs["labels"]), size)
        total = torch.zeros((), device=self.args.device)
        for start in starts:
            piece = {name: value[start : start + size] for name, value in inputs.items()}
            last = start == starts[-1]
            with nullcontext() if last else self.accelerator.no_sync(model):
                total += super().training_step(model, piece, n_items)
        return total

    def _refuse_unless_finite(self, value: torch.Tensor, where: str) -> None:
        if torch.isfinite(value).all():
            return
        folder = self.task.folder
        last = checkpoints.last_checkpoint(folder) if folder else None
        raise MilmerError(
            f"The loss of {self.task.name} stopped being a number {where} "
            f"(epoch {len(self.history) + 1})."
            + (f" The last good checkpoint is kept: {last}." if last else ""),
            "Lower train.lr, set train.clip_norm, or use run.precision=float32; "
            "look for extreme values with `milmer inspect`.",
        )

    def floating_point_ops(self, inputs: Any) -> int:
        """Count nothing: Trainer's estimate is for language models and slow for small steps."""
        return 0

    # what an epoch is judged by

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Judge the weights on the validation part and write the epoch's row."""
        start = time.perf_counter()
        sums = self._total_sums()
        self._refuse_unless_finite(sums[0], "during this epoch")
        self._sums.zero_()
        with self.average.in_place() if self.average else nullcontext():
            truth, logits = self._validate()
            chances = log_softmax(logits)[np.arange(len(truth)), truth]
            self._refuse_unless_finite(torch.tensor(chances.sum()), "on the validation part")
            scores = values.from_confusion(
                values.confusion(truth, logits.argmax(axis=1), logits.shape[1])
            )
            row = Epoch(
                epoch=len(self.history) + 1,
                train_loss=float(sums[0] / sums[2]),
                train_accuracy=float(sums[1] / sums[2]),
                validation_loss=float(-chances.mean()),
                validation_accuracy=float(scores["accuracy"]),
                validation_balanced_accuracy=float(scores["balanced_accuracy"]),
                validation_macro_f1=float(scores["macro_f1"]),
                learning_rate=float(self.lr_scheduler.get_last_lr()[0]),
            )
            self.history.append(row)
            is_best = best_of(self.history, self.task.choose_by) == row.epoch
            if is_best:
                self._best = checkpoints.snapshot(self.accelerator.unwrap_model(self.model))
        self._tell(row, is_best)
        metrics = {f"eval_{k}": v for k, v in asdict(row).items() if k.startswith("validation")}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        self.judging_s += time.perf_counter() - start
        return metrics

    def _validate(self) -> tuple[np.ndarray, np.ndarray]:
        task = self.task
        share = outputs_of_share(
            self.accelerator.unwrap_model(self.model),
            self.eval_dataset,
            task.compute,
            self.micro_batch or task.recipe.batch_size,
            task.collate,
            task.prepare,
            self.accelerator.process_index,
            self.world,
        )
        shares = gather_object([share]) if self.world > 1 else [share]
        order = np.argsort(np.concatenate([rows for rows, _, _ in shares]), kind="stable")
        truth = np.concatenate([truth for _, truth, _ in shares])[order]
        return truth, np.concatenate([logits for _, _, logits in shares])[order]

    def _tell(self, row: Epoch, is_best: bool) -> None:
        self.task.progress.note(
            f"{self.task.name}: epoch {row.epoch} of {self.task.recipe.epochs}, "
            f"loss {row.train_loss:.3f} (validation {row.validation_loss:.3f}), "
            f"validation accuracy {row.validation_accuracy:.1%}, "
            f"balanced {row.validation_balanced_accuracy:.1%}"
            + (", the best so far" if is_best else ""),
            self.task.level,
        )

    @property
    def run_out_of_patience(self) -> bool:
        """Whether there were `patience` epochs without a better one."""
        patience = self.task.recipe.patience
        since = len(self.history) - best_of(self.history, self.task.choose_by)
        return 0 < patience <= since

    def _total_sums(self) -> torch.Tensor:
        return self.accelerator.reduce(self._sums) if self.world > 1 else self._sums.clone()

    # what is kept

    def restore_best(self) -> int:
        """Give the model the weights of the best epoch; return its number."""
        epoch = best_of(self.history, self.task.choose_by)
        weights: Any = self._best
        if self.task.folder and not weights:  # it was found before the training was taken up again
            weights = checkpoints.best_path(self.task.folder, epoch)
        # give back the model's own forward, which accelerate wraps for mixed precision
        plain = self.accelerator.unwrap_model(self.model_wrapped, keep_fp32_wrapper=False)
        checkpoints.restore(plain, weights)
        return epoch

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        folder = self.task.folder
        if folder is None:
            return
        start = time.perf_counter()
        for name, value in learned(self.accelerator.unwrap_model(self.model)).items():
            self._refuse_unless_finite(value, f"and spoiled the weights of {name}")
        sums = self._total_sums().tolist()
        with checkpoints.saying_what_failed(folder):
            super()._save_checkpoint(model, trial)
            if self.is_main:
                staged = folder / checkpoints.STAGING / f"checkpoint-{self.state.global_step}"
                if self.average:
                    self.average.save(staged / checkpoints.AVERAGE)
                (staged / STATE).write_text(
                    json.dumps(
                        {
                            "recipe": self.task.recipe.model_dump(mode="json"),
                            "seed": self.task.seed,
                            "history": [asdict(row) for row in self.history],
                            "sums": sums,
                            "micro_batch": self.micro_batch,
                        }
                    ),
                    encoding="utf-8",
                )
            self.accelerator.wait_for_everyone()
            if self.is_main:
                best = best_of(self.history, self.task.choose_by)
                if self._best and self._best_on_disk != best:
                    checkpoints.save_best(folder, best, self._best)
                    self._best_on_disk = best
                checkpoints.publish(staged, folder)
                checkpoints.forget_other_bests(folder, best)
        self.saving_s = time.perf_counter() - start

    def _get_output_dir(self, trial: Any) -> str:
        return str((self.task.folder or Path(self.args.output_dir)) / checkpoints.STAGING)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        if self.args.should_save and output_dir is not None:
            Path(output_dir).mkdir(parents=True, exist_ok=True)
            weights = state_dict or checkpoints.snapshot(self.accelerator.unwrap_model(self.model))
            save_file(weights, Path(output_dir) / checkpoints.WEIGHTS)

    def take_up(self, checkpoint: Path) -> None:
        """Read what `_save_checkpoint` wrote beside Trainer's own state."""
        state = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
        now = {"recipe": self.task.recipe.model_dump(mode="json"), "seed": self.task.seed}
        then = {name: state[name] for name in now}
        if now != then:
            raise InputError(
                f"{checkpoint} was made with other training settings.",
                "Continue with the settings of then, or start in a new folder.",
            )
        self.history = [Epoch(**row) for row in state["history"]]
        self.micro_batch = self.task.run.micro_batch or state["micro_batch"]
        if self.is_main:
            self._sums.copy_(torch.tensor(state["sums"]))
        if self.average:
            self.average.load(checkpoint / checkpoints.AVERAGE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        checkpoints.restore(model or self.model, Path(resume_from_checkpoint) / checkpoints.WEIGHTS)
