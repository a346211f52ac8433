"""fit: learns, keeps its best epoch, is reproducible, and says what went wrong in one sentence."""

from __future__ import annotations

import errno
import signal

import numpy as np
import pytest
import torch
from torch.utils.data import Subset

from milmer_cli.compute import Compute
from milmer_cli.errors import InputError, MilmerError
from milmer_cli.training import checkpoints
from milmer_cli.training.conductor import Conductor
from milmer_cli.training.history import Epoch, best_of, read_history
from milmer_cli.training.predictions import predict_probabilities
from milmer_cli.training.trainer import fit


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


class Listener:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.steps = 0.0
        self.total: float | None = None

    def start(self, task, total=None, unit="") -> None:
        self.total = total

    def advance(self, task, by=1.0) -> None:
        self.steps += by

    def done(self, task) -> None: ...

    def note(self, message, level="info") -> None:
        self.lines.append((level, message))


def test_overfits_one_batch(lab, compute) -> None:
    data = lab.Points(8, 0, spread=3.0)
    model = lab.net(dropout=0.0)
    fit(model, data, data, lab.settings("train.epochs=150", "train.lr=0.03"), None, compute)
    guess = predict_probabilities(model, data, compute, 8).argmax(axis=1)
    assert (guess == data.labels).all()


def test_same_seed_gives_the_same_weights_bit_for_bit(lab, compute) -> None:
    models = [lab.net(), lab.net(), lab.net()]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        torch.rand(7)  # what was drawn before must not matter
        fit(
            model, lab.Points(40, 0), lab.Points(12, 1), lab.settings(f"seed={seed}"), None, compute
        )
    assert same(weights(models[0]), weights(models[1]))
    assert not same(weights(models[0]), weights(models[2]))


def test_loader_workers_change_nothing(lab, compute) -> None:
    models = [lab.net(), lab.net()]
    for model, workers in zip(models, (0, 2), strict=True):
        s = lab.settings("train.epochs=1", f"run.loader_workers={workers}")
        fit(model, lab.Points(24, 0), lab.Points(6, 1), s, None, compute)
    assert same(weights(models[0]), weights(models[1]))


def test_restores_the_epoch_with_the_best_validation_score(lab, compute, tmp_path) -> None:
    # labels of the validation part are shuffled, so the best epoch is not simply the last one
    validation = lab.Points(30, 1, spread=2.5)
    s = lab.settings("train.epochs=8", "train.lr=0.05")
    for out in (None, tmp_path):
        model = lab.net()
        history = fit(model, lab.Points(40, 0, spread=2.5), validation, s, out, compute)
        best = max(
            history.epochs, key=lambda e: (e.validation_balanced_accuracy, -e.validation_loss)
        )
        assert history.best == best
        assert history.best_epoch < 8, "the case must tell the best from the last"
        chances = predict_probabilities(model, validation, compute, 5)
        loss = -np.log(chances[np.arange(30), validation.labels]).mean()
        assert loss == pytest.approx(best.validation_loss, rel=1e-6)


def test_model_never_meets_labels_index_or_the_test_part(lab, compute) -> None:
    seen: list[torch.Tensor] = []

    class Spy(lab.Net):
        def forward(self, x):
            seen.append(x)
            return super().forward(x)

    everything = lab.Points(60, 0)
    fit(
        Spy(),
        Subset(everything, range(30)),
        Subset(everything, range(30, 45)),
        lab.settings(),
        None,
        compute,
    )
    met = {tuple(row.tolist()) for batch in seen for row in batch}
    rows = [tuple(row.tolist()) for row in everything.x]
    assert met == set(rows[:45])
    assert not met & set(rows[45:])


def test_rate_rises_and_falls_to_the_final_ratio(lab, compute) -> None:
    s = lab.settings("train.epochs=10", "train.warmup=0.2")
    history = fit(lab.net(), lab.Points(40, 0), lab.Points(12, 1), s, None, compute)
    rates = [epoch.learning_rate for epoch in history.epochs]
    assert rates[0] == pytest.approx(0.005)
    assert rates[1] == pytest.approx(0.01)
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[-1] == pytest.approx(0.001)


def test_tells_progress_by_steps_and_a_line_an_epoch(lab, compute) -> None:
    listener = Listener()
    fit(lab.net(), lab.Points(20, 0), lab.Points(6, 1), lab.settings(), None, compute, listener)
    assert listener.steps == listener.total == 9
    lines = [line for _, line in listener.lines]
    assert len(lines) == 3
    assert "epoch 2 of 3" in lines[1]


def test_history_is_a_readable_csv(lab, compute, tmp_path) -> None:
    history = fit(lab.net(), lab.Points(20, 0), lab.Points(6, 1), lab.settings(), None, compute)
    history.write_csv(tmp_path / "history.csv")
    assert read_history(tmp_path / "history.csv") == history.epochs


def test_fit_is_silent(lab, compute, capfd, recwarn, tmp_path) -> None:
    fit(lab.net(), lab.Points(20, 0), lab.Points(6, 1), lab.settings(), tmp_path, compute)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    assert not recwarn.list


@pytest.mark.parametrize("stop_in", [1, 2])
def test_resume_equals_an_unbroken_training_bit_for_bit(lab, compute, tmp_path, stop_in) -> None:
    """Broken off in the middle of an epoch, where a checkpoint is saved after every step."""
    s = lab.settings("run.checkpoint_min=1e-9", "train.ema_decay=0.9")
    data, validation = lab.Points(40, 0), lab.Points(12, 1)
    whole = lab.net()
    unbroken = fit(whole, data, validation, s, tmp_path / "whole", compute)

    class CutError(Exception):
        pass

    class Breaking(lab.Points):
        left = 8 * 5 * stop_in - 9  # samples until it breaks: in epoch 1 or 2, not at its end

        def __getitem__(self, i):
            if self.left == 0:
                raise CutError
            self.left -= 1
            return super().__getitem__(i)

    with pytest.raises(CutError):
        fit(lab.net(), Breaking(40, 0), validation, s, tmp_path / "broken", compute)
    torch.rand(100)
    model = lab.net(seed=5)
    resumed = fit(model, data, validation, s, tmp_path / "broken", compute, resume=True)
    assert resumed.epochs == unbroken.epochs
    assert resumed.best_epoch == unbroken.best_epoch
    assert same(weights(model), weights(whole))


def test_a_wish_to_stop_while_an_epoch_is_judged_saves_that_epoch(
    lab, compute, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(Conductor, "_is_worth_saving", lambda self: False)  # saving is slow

    class Impatient(lab.Points):
        looks = 0

        def __getitem__(self, i):
            self.looks += 1
            if self.looks == 6 + 1:  # in the second epoch
                signal.raise_signal(signal.SIGINT)
            return super().__getitem__(i)

    with pytest.raises(KeyboardInterrupt):
        fit(lab.net(), lab.Points(24, 0), Impatient(6, 1), lab.settings(), tmp_path, compute)
    last = checkpoints.last_checkpoint(tmp_path / "checkpoints")
    assert last is not None
    assert checkpoints.step_of(last) == 2 * 3


def test_resume_of_a_finished_training_changes_nothing(lab, compute, tmp_path) -> None:
    model, again = lab.net(), lab.net(seed=3)
    fit(model, lab.Points(20, 0), lab.Points(6, 1), lab.settings(), tmp_path, compute)
    fit(again, lab.Points(20, 0), lab.Points(6, 1), lab.settings(), tmp_path, compute, resume=True)
    assert same(weights(model), weights(again))


def test_resume_with_other_settings_is_refused(lab, compute, tmp_path) -> None:
    fit(lab.net(), lab.Points(20, 0), lab.Points(6, 1), lab.settings(), tmp_path, compute)
    with pytest.raises(InputError, match="other training settings"):
        fit(
            lab.net(),
            lab.Points(20, 0),
            lab.Points(6, 1),
            lab.settings("train.lr=0.02"),
            tmp_path,
            compute,
            resume=True,
        )


def test_loss_that_is_no_number_is_one_sentence_and_keeps_the_last_good_checkpoint(
    lab, compute, tmp_path
) -> None:
    class Poisoned(lab.Points):
        met = 0

        def __getitem__(self, i):
            self.met += 1
            sample = super().__getitem__(i)
            return sample if self.met <= 30 else {**sample, "x": sample["x"] * float("nan")}

    with pytest.raises(MilmerError, match=r"stopped being a number.*checkpoint-3") as caught:
        fit(lab.net(), Poisoned(20, 0), lab.Points(6, 1), lab.settings(), tmp_path, compute)
    assert caught.value.hint
    last = checkpoints.last_checkpoint(tmp_path / "checkpoints")
    assert last is not None
    restored = lab.net()
    checkpoints.restore(restored, last / checkpoints.WEIGHTS)
    assert all(torch.isfinite(value).all() for value in restored.state_dict().values())


def test_disk_full_keeps_the_last_whole_checkpoint(lab, compute, tmp_path, monkeypatch) -> None:
    written = []
    save_file = checkpoints.save_file

    def full_after_two(tensors, path):
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        save_file(tensors, path)

    monkeypatch.setattr("milmer_cli.training.engine.save_file", full_after_two)
    with pytest.raises(MilmerError, match=r"the disk is full.*checkpoint-6, is kept") as caught:
        fit(lab.net(), lab.Points(20, 0), lab.Points(6, 1), lab.settings(), tmp_path, compute)
    assert "--resume" in caught.value.hint
    monkeypatch.undo()
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert "checkpoint-6" in names
    assert checkpoints.STAGING not in names
    model, whole = lab.net(), lab.net()
    fit(model, lab.Points(20, 0), lab.Points(6, 1), lab.settings(), tmp_path, compute, resume=True)
    fit(whole, lab.Points(20, 0), lab.Points(6, 1), lab.settings(), None, compute)
    assert same(weights(model), weights(whole))


def test_short_memory_makes_smaller_pieces_of_the_same_batch(lab, compute) -> None:
    class Greedy(lab.Net):
        """Runs out of memory on more than three samples at once."""

        def forward(self, x):
            if self.training and len(x) > 3:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().forward(x)

    listener = Listener()
    torch.manual_seed(0)
    model, whole = Greedy(dropout=0.0), lab.net(dropout=0.0)
    history = fit(
        model, lab.Points(22, 0), lab.Points(6, 1), lab.settings(), None, compute, listener
    )
    fit(whole, lab.Points(22, 0), lab.Points(6, 1), lab.settings(), None, compute)
    assert history.micro_batch == 2
    assert any(level == "warning" and "going on with 2" in line for level, line in listener.lines)
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(model)[name], value, atol=1e-5, rtol=1e-4)


def test_lower_precision_trains_and_leaves_the_model_as_it_was(lab, compute) -> None:
    s = lab.settings("run.precision=bfloat16")
    model, exact = lab.net(), lab.net()
    data = lab.Points(40, 0), lab.Points(12, 1)
    fit(model, *data, s, None, Compute.choose(s.run))
    fit(exact, *data, lab.settings(), None, compute)
    assert all(value.dtype == torch.float32 for value in model.state_dict().values())
    assert not same(weights(model), weights(exact))
    for name, value in weights(exact).items():
        torch.testing.assert_close(weights(model)[name], value, atol=0.05, rtol=0.5)
    assert model(torch.zeros(1, 8)).logits.dtype == torch.float32
    assert model.forward.__func__ is lab.Net.forward


def test_memory_that_runs_out_elsewhere_is_one_sentence(lab, compute, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(torch.optim.AdamW, "step", full)
    with pytest.raises(MilmerError, match="not enough memory for the optimizer") as caught:
        fit(lab.net(), lab.Points(20, 0), lab.Points(6, 1), lab.settings(), None, compute)
    assert "micro_batch" in caught.value.hint


def test_memory_that_runs_out_half_way_counts_no_sample_twice(lab, compute) -> None:
    class Moody(lab.Net):
        calls = 0

        def forward(self, x):
            self.calls += self.training
            if self.training and self.calls == 2:  # the second piece of the first step
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().forward(x)

    torch.manual_seed(0)
    model, whole = Moody(dropout=0.0), lab.net(dropout=0.0)
    data = lab.Points(24, 0), lab.Points(6, 1)
    pieces = fit(model, *data, lab.settings("run.micro_batch=4"), None, compute)
    at_once = fit(whole, *data, lab.settings(), None, compute)
    assert pieces.micro_batch == 2
    assert pieces.epochs[0].train_loss == pytest.approx(at_once.epochs[0].train_loss, rel=1e-4)
    assert pieces.epochs[0].train_accuracy == at_once.epochs[0].train_accuracy


def test_best_epoch_by_the_score_named_then_loss_then_earlier() -> None:
    def epoch(number: int, balanced: float, f1: float, loss: float) -> Epoch:
        return Epoch(number, 0, 0, loss, 0, balanced, f1, 0)

    epochs = [
        epoch(1, 0.5, 0.9, 3),
        epoch(2, 0.7, 0.1, 2),
        epoch(3, 0.7, 0.9, 1),
        epoch(4, 0.7, 0, 1),
    ]
    assert best_of(epochs, "balanced_accuracy") == 3
    assert best_of(epochs[:2], "macro_f1") == 1
    assert best_of([], "macro_f1") == 0


def test_patience_stops_early(lab, compute) -> None:
    s = lab.settings("train.epochs=50", "train.patience=2", "train.lr=0.05")
    history = fit(lab.net(), lab.Points(40, 0), lab.Points(12, 1, spread=3.0), s, None, compute)
    assert len(history.epochs) == history.best_epoch + 2 < 50


def test_average_of_weights_is_judged_and_kept(lab, compute) -> None:
    model = lab.net()
    trace: list[dict[str, torch.Tensor]] = []

    class Watcher(Listener):
        def advance(self, task, by=1.0) -> None:
            trace.append(weights(model))

    s = lab.settings("train.epochs=1", "train.ema_decay=0.5")
    validation = lab.Points(12, 1)
    history = fit(model, lab.Points(40, 0), validation, s, None, compute, Watcher())
    expected = weights(lab.net())
    for step, now in enumerate(trace, start=1):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = {n: decay * expected[n] + (1 - decay) * now[n] for n in now}
    for name, value in weights(model).items():
        torch.testing.assert_close(value, expected[name])
    chances = predict_probabilities(model, validation, compute, 12)
    loss = -np.log(chances[np.arange(12), validation.labels]).mean()
    assert loss == pytest.approx(history.best.validation_loss, rel=1e-6)


def test_class_weights_help_the_rare_class(lab, compute) -> None:
    labels = np.array([0] * 36 + [1] * 2 + [2] * 2)
    data = lab.Points(40, 0, spread=3.0)
    data.labels = labels
    recalls = []
    for choice in ("false", "true"):
        model = lab.net()
        s = lab.settings(f"train.class_weights={choice}", "train.epochs=20")
        counts = np.bincount(labels, minlength=3)
        fit(model, data, data, s, None, compute, class_counts=counts)
        chances = predict_probabilities(model, data, compute, 8)
        recalls.append(chances[36:, 1:].sum(axis=1).mean())
    assert recalls[1] > recalls[0] + 0.1


def test_fewer_samples_than_a_batch_train(lab, compute) -> None:
    history = fit(lab.net(), lab.Points(3, 0), lab.Points(3, 1), lab.settings(), None, compute)
    assert len(history.epochs) == 3
