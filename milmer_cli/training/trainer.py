"""transformers' Trainer with our batches, loss, validation, memory fallback and checkpoints."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Subset, default_collate
from transformers import PrinterCallback

from milmer_cli.errors import MilmerError
from milmer_cli.inference.predict_proba import Batch, predict_logits
from milmer_cli.training import checkpoints
from milmer_cli.training.callbacks import FlowCallback, LogCallback
from milmer_cli.training.ema import WeightAverageCallback
from milmer_cli.training.graceful_stop import StopRequest
from milmer_cli.training.history import Epoch, select_epoch, validation_metrics
from milmer_cli.training.integrations import tracker_callbacks
from milmer_cli.training.micro_batches import MicroBatchTrainer
from milmer_cli.training.optimization import parameter_groups, trainable_parameters
from milmer_cli.training.sampler import (
    IGNORE_INDEX,
    DistributedBatchSampler,
    EpochDataLoader,
    PlaceholderDataset,
)
from milmer_cli.training.training_args import TrainingSpec, training_arguments

LOSS_CHECK_INTERVAL = 20
"""Steps between two checks that the loss is finite on an accelerator, which each check stalls."""


class MilmerTrainer(MicroBatchTrainer):
    """Trains one model and keeps the weights of the best epoch.

    Parameters
    ----------
    model
        Its forward pass takes the entries of a batch except ``labels`` and ``index``, and returns
        ``logits``.
    train_data, validation_data
        Samples as dictionaries; ``labels`` is an int.
    spec
        Everything else.

    Attributes
    ----------
    history
        Metrics of the epochs so far.
    stop_request
        Whether a signal asked the training to stop.
    flow
        Decides when to evaluate, save and stop.
    waiting_s, validation_s
        Time spent waiting for training samples, and in `evaluate`.
    """

    optimizer: Any
    control: Any

    def __init__(
        self,
        model: nn.Module,
        train_data: Dataset[Batch],
        validation_data: Dataset[Batch],
        spec: TrainingSpec,
    ) -> None:
        self.spec = spec
        self.micro_batch_size = spec.run.micro_batch_size
        self.history: list[Epoch] = []
        self.stop_request = StopRequest()
        self.flow = FlowCallback(spec, self.history, self.stop_request)
        self.waiting_s = 0.0
        self.validation_s = 0.0
        self._best_weights: dict[str, torch.Tensor] = {}
        self._saved_best_epoch = 0
        trackers = tracker_callbacks(spec.run.report_to, spec.out)
        super().__init__(
            model=model,
            args=training_arguments(spec),
            data_collator=default_collate,
            train_dataset=train_data,
            eval_dataset=validation_data,
            compute_loss_func=self._loss,
            callbacks=[LogCallback(spec, self.history), *trackers],
        )
        self.remove_callback(PrinterCallback)
        self.weight_average: WeightAverageCallback | None = None
        if spec.learning.ema_decay:
            self.weight_average = WeightAverageCallback(self._plain_model, spec.learning.ema_decay)
            self.add_callback(self.weight_average)
        self.add_callback(self.flow)
        dtype = torch.float32 if self.args.device.type == "mps" else torch.float64
        self.epoch_sums = torch.zeros(3, dtype=dtype, device=self.args.device)
        self._class_weights = (
            None if spec.class_weights is None else spec.class_weights.to(self.args.device)
        )

    @property
    def is_main_process(self) -> bool:
        """Whether this process writes files and messages."""
        return self.accelerator.is_main_process

    @property
    def best_epoch(self) -> int:
        """Number of the best epoch so far; 0 before the first validation."""
        return select_epoch(self.history, self.spec.metric_for_best_model)

    @property
    def _plain_model(self) -> nn.Module:
        return self.accelerator.unwrap_model(self.model)

    # Batches ------------------------------------------------------------------------------------

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Load the batches of `DistributedBatchSampler`."""
        data: Any = self.train_dataset
        sampler = DistributedBatchSampler(
            len(data),
            self.spec.learning.batch_size,
            self.spec.seed,
            self.accelerator.process_index,
            self.world_size,
        )
        n_workers = self.args.dataloader_num_workers
        return EpochDataLoader(
            PlaceholderDataset(data) if self.world_size > 1 else data,
            batch_sampler=sampler,
            num_workers=n_workers,
            persistent_workers=n_workers > 0,
            pin_memory=self.args.dataloader_pin_memory,
            # a separate generator: starting workers draws from it, and must not change dropout
            generator=torch.Generator().manual_seed(self.spec.seed),
        )

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch the samples of a step, and measure the time."""
        start = time.perf_counter()
        batch = super().get_batch_samples(*args, **kwargs)
        self.waiting_s += time.perf_counter() - start
        return batch

    def _prepare_inputs(self, inputs: Batch) -> Batch:
        batch = super()._prepare_inputs({k: v for k, v in inputs.items() if k != "index"})
        labels = batch.pop("labels")
        return {**self.spec.transform(batch, True), "labels": labels}

    # Training step ------------------------------------------------------------------------------

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Create AdamW with `parameter_groups`."""
        if self.optimizer is None:
            fused = self.args.device.type in ("cpu", "cuda")
            groups = parameter_groups(model or self.model, self.spec.learning)
            self.optimizer = torch.optim.AdamW(groups, fused=fused)
        return self.optimizer

    def _loss(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor
    ) -> torch.Tensor:
        """Cross-entropy: the share of this micro-batch in the mean over the global batch."""
        logits = outputs.logits.float()
        total = functional.cross_entropy(
            logits,
            labels,
            self._class_weights,
            ignore_index=IGNORE_INDEX,
            reduction="sum",
            label_smoothing=self.spec.learning.label_smoothing,
        )
        correct = (logits.argmax(dim=1) == labels).sum()
        self.epoch_sums += torch.stack([total.detach(), correct, (labels != IGNORE_INDEX).sum()])
        return total / num_items_in_batch

    def training_step(
        self, model: nn.Module, inputs: Batch, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Run the forward and backward pass of a batch, and check the loss from time to time."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        step = self.state.global_step
        if self.args.device.type == "cpu" or step % LOSS_CHECK_INTERVAL == 0:
            self._check_finite(loss, f"the loss is not finite at step {step + 1}")
        return loss

    def _check_finite(self, value: torch.Tensor, problem: str) -> None:
        if torch.isfinite(value).all():
            return
        folder = self.spec.checkpoint_dir
        last = checkpoints.last_checkpoint(folder) if folder else None
        raise MilmerError(
            f"{self.spec.log.task} diverged in epoch {len(self.history) + 1}: {problem}."
            + (f" The last checkpoint before it is kept: {last}." if last else ""),
            "Lower train.lr, set train.max_grad_norm or use run.precision=float32; "
            "check the data for extreme values with `milmer inspect`.",
        )

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: Trainer's estimate is for language models, and slow for small steps."""
        return 0

    # Validation ---------------------------------------------------------------------------------

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Compute the metrics of the epoch on the validation set, and keep the best weights."""
        start = time.perf_counter()
        sums = self._total_epoch_sums()
        self._check_finite(sums[0], "the training loss is not finite")
        self.epoch_sums.zero_()
        average = self.weight_average
        with average.applied_to(self._plain_model) if average else nullcontext():
            labels, logits = self._validation_outputs()
            metrics = validation_metrics(labels, logits)
            if len(labels):
                self._check_finite(
                    torch.tensor(metrics["validation_loss"]), "the validation loss is not finite"
                )
            epoch = Epoch(
                epoch=len(self.history) + 1,
                train_loss=float(sums[0] / sums[2]),
                train_accuracy=float(sums[1] / sums[2]),
                learning_rate=float(self.lr_scheduler.get_last_lr()[0]),
                **metrics,
            )
            self.history.append(epoch)
            if self.best_epoch == epoch.epoch:
                self._best_weights = checkpoints.copy_weights(self._plain_model)
        logged = {f"eval_{name}": value for name, value in metrics.items()}
        self.log(logged)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, logged
        )
        self.validation_s += time.perf_counter() - start
        return logged

    def _validation_outputs(self) -> tuple[np.ndarray, np.ndarray]:
        """Labels, (n,), and logits, (n, n_classes), of the validation set from all processes."""
        data: Any = self.eval_dataset
        rows = np.arange(self.accelerator.process_index, len(data), self.world_size)
        labels, logits = predict_logits(
            self._plain_model,
            Subset(data, rows.tolist()),
            self.spec.device.with_torch(),  # the weights change after every epoch
            self.micro_batch_size or self.spec.learning.batch_size,
            transform=self.spec.transform,
        )
        share = rows, labels, logits
        shares = gather_object([share]) if self.world_size > 1 else [share]
        order = np.argsort(np.concatenate([rows for rows, _, _ in shares]), kind="stable")
        labels = np.concatenate([labels for _, labels, _ in shares])[order]
        return labels, np.concatenate([logits for _, _, logits in shares])[order]

    def _total_epoch_sums(self) -> torch.Tensor:
        if self.world_size > 1:
            return self.accelerator.reduce(self.epoch_sums)
        return self.epoch_sums.clone()

    # Checkpoints --------------------------------------------------------------------------------

    def restore_best_epoch(self) -> None:
        """Load the weights of the best epoch into the model."""
        weights: Any = self._best_weights
        folder = self.spec.checkpoint_dir
        if folder and not weights:  # the best epoch was before the training was resumed
            weights = checkpoints.best_path(folder, self.best_epoch)
        # also removes the forward method that accelerate wraps for mixed precision
        plain = self.accelerator.unwrap_model(self.model_wrapped, keep_fp32_wrapper=False)
        checkpoints.restore_weights(plain, weights)

    def resume(self, checkpoint: Path) -> None:
        """Restore what a checkpoint stores in addition to Trainer's own state."""
        state = checkpoints.CheckpointState.load(checkpoint, self._learning_json, self.spec.seed)
        self.history[:] = state.history  # in place: the callbacks hold the same list
        self.micro_batch_size = self.spec.run.micro_batch_size or state.micro_batch_size
        if self.is_main_process:  # the sums of all processes, which are added up again
            self.epoch_sums.copy_(torch.tensor(state.epoch_sums))
        if self.weight_average:
            self.weight_average.load(checkpoint / checkpoints.AVERAGE)

    @property
    def _learning_json(self) -> dict[str, Any]:
        return self.spec.learning.model_dump(mode="json")

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        folder = self.spec.checkpoint_dir
        if folder is None:
            return
        for name, value in trainable_parameters(self._plain_model).items():
            self._check_finite(value, f"the weights {name} are not finite")
        epoch_sums = self._total_epoch_sums().tolist()
        with checkpoints.explain_checkpoint_errors(folder):
            if self.is_main_process:
                checkpoints.create_staging_folder(folder)
            self.accelerator.wait_for_everyone()
            super()._save_checkpoint(model, trial)
            staged = folder / checkpoints.STAGING / f"checkpoint-{self.state.global_step}"
            if self.is_main_process:
                self._save_state(staged, epoch_sums)
            self.accelerator.wait_for_everyone()  # every process writes its random state
            if self.is_main_process:
                self._publish(staged, folder)

    def _save_state(self, staged: Path, epoch_sums: list[float]) -> None:
        if self.weight_average:
            self.weight_average.save(staged / checkpoints.AVERAGE)
        checkpoints.CheckpointState(
            learning=self._learning_json,
            seed=self.spec.seed,
            history=self.history,
            epoch_sums=epoch_sums,
            micro_batch_size=self.micro_batch_size,
        ).save(staged)

    def _publish(self, staged: Path, folder: Path) -> None:
        """Write the best weights, then publish the checkpoint, which needs them when resumed."""
        best = self.best_epoch
        if self._best_weights and self._saved_best_epoch != best:
            checkpoints.save_best(folder, best, self._best_weights)
            self._saved_best_epoch = best
        checkpoints.publish(staged, folder)
        checkpoints.remove_other_bests(folder, best)

    def _get_output_dir(self, trial: Any) -> str:
        return str((self.spec.checkpoint_dir or Path(self.args.output_dir)) / checkpoints.STAGING)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        if self.args.should_save and output_dir is not None:
            Path(output_dir).mkdir(parents=True, exist_ok=True)
            weights = state_dict or checkpoints.copy_weights(self._plain_model)
            save_file(weights, Path(output_dir) / checkpoints.WEIGHTS)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        weights = Path(resume_from_checkpoint) / checkpoints.WEIGHTS
        checkpoints.restore_weights(model or self.model, weights)
