"""Every setting of Milmer: its kind, its unit, its range, its default and where that comes from.

Sections hold values only. What changes a result stands in its stage's section; where and how fast
the work runs stands in `RunSettings`, which enters no fingerprint.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Source = Literal["auto", "bdf", "dat", "mat"]
Detector = Literal["auto", "sfd", "yunet", "scrfd", "retinaface", "blazeface", "dlib"]
BadChannels = Literal["interpolate", "keep"]
Eog = Literal["none", "regression", "ica"]
Layout = Literal["plain", "published"]
Target = Literal["quadrant", "valence", "arousal", "label"]
Ties = Literal["low", "high", "drop", "published"]
Fusion = Literal["none", "mlp", "cross_attention"]
Selection = Literal["none", "softmax", "amil", "mean", "attention_topk", "attention_weighted_topk"]
Scorer = Literal["pooled", "published"]
Modalities = Literal["both", "eeg", "face"]
Protocol = Literal["segment", "trial", "participant", "stimulus", "participant-stimulus"]
Split = Literal["folds", "holdout"]
EpochOn = Literal["validation", "test"]
Baselines = Literal["quick", "all", "none"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Compile = Literal["auto", "on", "off"]

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Frozen, refuses unknown keys; the text below an attribute is its documentation."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class DataSettings(Section):
    """Which recordings are read, and how ratings become classes."""

    source: Source = "auto"
    """Which of DEAP's EEG files to read; `auto` takes bdf, then dat, then mat."""
    participants: str = ""
    """Participants to use, as in `1,3-5`; empty for all."""
    target: Target = "quadrant"
    """What is predicted: the four valence/arousal quadrants (paper), one side of one axis, or the
    classes that a manifest's column `label` names."""
    threshold: Annotated[float, Field(ge=1.0, le=9.0)] = 5.0
    """Middle of the 1-9 rating scale (paper): a rating above it is high."""
    ties: Ties = "low"
    """What a rating exactly at the threshold is: `low` (high means strictly above), `high`, `drop`
    the trial, or as in the `published` code (quadrants only)."""


class EegSettings(Section):
    """EEG cleaning and cutting. Changing any of these makes a new store."""

    sfreq_hz: Annotated[float, Field(ge=64.0, le=2048.0)] = 128.0
    """Sampling rate of the stored EEG, in Hz (DEAP's preprocessed rate)."""
    band_hz: tuple[float, float] = (1.0, 50.0)
    """Zero-phase band-pass, in Hz (published code)."""
    notch_hz: Annotated[float, Field(ge=0.0)] = 50.0
    """Mains frequency removed before resampling, in Hz; 0 for no notch."""
    segment_s: Annotated[float, Field(ge=0.5, le=60.0)] = 3.0
    """Length of a segment, in seconds (paper: 3 s)."""
    overlap_s: Annotated[float, Field(ge=0.0)] = 0.0
    """Seconds that neighbouring segments share, less than `segment_s` (published: none)."""
    bad_channels: BadChannels = "interpolate"
    """Flat and wild channels of raw recordings: replaced from their neighbours, or kept."""
    eog: Eog = "regression"
    """How eye artefacts leave raw recordings. `regression` on the eye channels is the default: it
    has nothing to choose, gives the same numbers every time and takes seconds, and eye movements
    left in would let the EEG branch read the face. `ica` spares more of the brain activity that eye
    channels pick up, takes minutes and removes the components that follow an eye channel."""
    layout: Layout = "plain"
    """How a trial is cut: `plain` keeps electrodes and time apart; `published` reproduces the
    reshape of the published code, which mixes them (a "segment" is 2-3 electrodes over the whole
    trial), and its band-pass after it."""

    @model_validator(mode="after")
    def _segments_advance(self) -> EegSettings:
        if not self.overlap_s < self.segment_s:
            raise ValueError(f"overlap_s must be less than segment_s = {self.segment_s:g}")
        if self.layout == "published" and self.overlap_s:
            raise ValueError("layout published has no overlap: set overlap_s to 0")
        return self

    @model_validator(mode="after")
    def _band_below_nyquist(self) -> EegSettings:
        low, high = self.band_hz
        if not 0.0 < low < high < self.sfreq_hz / 2:
            raise ValueError(
                f"band_hz must satisfy 0 < low < high < sfreq_hz / 2 = {self.sfreq_hz / 2:g}"
            )
        return self


class FacesSettings(Section):
    """Finding and cropping faces. Changing any of these makes a new store."""

    detector: Detector = "auto"
    """Face detector of face-alignment; `auto` takes the best whose weights are at hand, else
    dlib."""
    instances: Count = 10
    """Face images a segment, spread evenly over it (paper: 10)."""
    widen: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """How far the face box is widened on each side, as a share of its size (published code:
    0.1)."""
    size: Annotated[int, Field(ge=32, le=512)] = 224
    """Side of the stored square face image, in pixels (Swin-Tiny's input)."""
    weights: str = ""
    """Folder with the detectors' weight files; empty for PyTorch's hub cache, where face-alignment
    keeps them."""
    align: bool = False
    """Turn each face until the eyes are level, by face-alignment's landmark network 2DFAN-4."""


class ModelSettings(Section):
    """The Milmer model. Width and tokens per face follow from the backbone."""

    backbone: str = "MahmoudWSegni/swin-tiny-patch4-window7-224-finetuned-face-emotion-v12"
    """Swin or SwinV2: a folder (of finetune-swin), a name on the hub, or `scratch:tiny` /
    `scratch:micro`."""
    freeze_backbone: bool = False
    """Keep the backbone as it is and train only what follows it."""
    channel_embedding: bool = True
    """Whether the model is told which electrode an EEG token is of. Without (published) it cannot
    tell electrodes apart: shuffling them changes nothing."""
    selection: Selection = "attention_weighted_topk"
    """How the instances of a bag are chosen (paper: attention-weighted top-k); `mean` chooses none
    and weighs all alike, as a baseline."""
    scorer: Scorer = "pooled"
    """`pooled` scores mean tokens and scales the chosen tokens by their weights, so that it learns;
    `published` scores flat faces (1.4 billion weights) and only indexes, so that it never does."""
    num_select: Count = 3
    """How many instances are kept (paper: 3)."""
    selection_noise: Annotated[float, Field(ge=0.0)] = 2.0
    """Scale of the Gumbel noise on the pooled scores when training chooses: the larger, the wider
    the margin by which an informative instance must learn to win. 0 always takes the best, and then
    an instance that is never tried is never learnt (measured in docs/benchmarks.md)."""
    fusion: Fusion = "cross_attention"
    """How face tokens are balanced against EEG tokens (paper: cross-attention)."""
    modalities: Modalities = "both"
    """Which modalities the model sees."""
    heads: Count = 12
    """Attention heads of the fusion and the encoder (paper: 12); must divide the backbone's
    width."""
    encoder_layers: Count = 2
    """Layers of the fusion transformer (paper: 2)."""
    feedforward: Count = 2048
    """Width of its feed-forward part (paper: 2048)."""
    dropout: Fraction = 0.2
    """Dropout in the encoder and the fusion (paper: 0.2)."""
    classifier_dropout: Fraction = 0.1
    """Dropout before the classifier (paper: 0.1)."""
    modality_dropout: Fraction = 0.1
    """In training, the share of segments that lose their EEG or their faces (published: 0)."""


class LearningSettings(Section):
    """How a network learns, whichever it is."""

    epochs: Count = 100
    """Passes over the training part."""
    batch_size: Count = 14
    """Samples a step, over all processes together."""
    lr: Positive = 1e-4
    """Peak learning rate of AdamW."""
    final_lr_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """The cosine ends at this share of `lr` (published: 0.1)."""
    warmup: Fraction = 0.05
    """Share of the steps in which the rate rises from 0 to `lr` (published: 0)."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    """Weight decay of AdamW, not applied to norms, biases and position tables (PyTorch's
    default)."""
    backbone_lr_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    """Learning rate of the Swin backbone as a share of `lr`."""
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Factor on the learning rate for each backbone block further from the output; 1 for none."""
    clip_norm: Annotated[float, Field(ge=0.0)] = 1.0
    """Largest norm of the gradient, longer ones are scaled down; 0 for no limit (published: 0)."""
    label_smoothing: Fraction = 0.0
    """Share of the target spread evenly over all classes."""
    class_weights: bool = False
    """Weigh the loss by one over the frequency of the class in the training part."""
    ema_decay: Fraction = 0.0
    """Decay a step of a moving average of the weights, which is then what is judged and kept; 0 for
    none."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Stop after this many epochs without a better one; 0 to go through all of them (published)."""


class TrainSettings(LearningSettings):
    """Training the Milmer model. Epochs, batch, rate, decay and schedule are the published ones."""

    protocol: Protocol = "trial"
    """What the training, validation and test parts of a run never share."""
    test_fraction: Fraction = 0.2
    """Share of the groups (trials, participants, ...) kept for the test part."""
    validation_fraction: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """Share of the training part on which the epoch is chosen."""


class FinetuneSettings(LearningSettings):
    """Fine-tuning the Swin backbone on images of facial expressions."""

    epochs: Count = 10
    """Passes over the training images."""
    batch_size: Count = 32
    """Images a step, over all processes together."""
    lr: Positive = 5e-5
    """Peak learning rate of AdamW."""
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    """Factor on the learning rate for each backbone block further from the output; 1 for none."""
    label_smoothing: Fraction = 0.1
    """Share of the target spread evenly over all classes."""
    class_weights: bool = True
    """Weigh the loss by one over the frequency of the class: some expressions are rare in every
    set."""
    validation_fraction: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """Share of the images on which the epoch is chosen, where the set has no part of its own for
    it."""
    image_size: Annotated[int, Field(ge=0, le=512)] = 0
    """Side of the images, in pixels; 0 for the backbone's own."""
    crop: bool = False
    """Find the face in each image first and cut it out as prepare does; images without one are left
    out."""
    augment: Annotated[float, Field(ge=0.0, le=2.0)] = 1.0
    """How strongly training images are mirrored, turned, zoomed, shifted and relit; 0 for not at
    all."""
    drop_path: Fraction = 0.1
    """Stochastic depth of the backbone while it is fine-tuned (Swin-Tiny's own is 0.1)."""


class EvaluateSettings(Section):
    """Evaluation by folds."""

    protocols: Annotated[tuple[Protocol, ...], Field(min_length=1)] = ("trial",)
    """What training and test parts never share; several give the ladder."""
    split: Split = "folds"
    """`folds` tests every segment once; `holdout` cuts one test part of `test_fraction`
    (published)."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Number of folds."""
    test_fraction: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """Share of the groups in the one test part of `split: holdout` (published: 0.2)."""
    seeds: Count = 1
    """How often everything is done, each time with other folds and other first weights."""
    per_participant: bool = False
    """Train a model for each participant on their recordings alone (published)."""
    epoch_on: EpochOn = "validation"
    """Which part chooses the epoch. `test` lets the test part choose, as the published code does;
    such numbers are LEAKY and are marked so."""
    baselines: Baselines = "quick"
    """Other models in the same folds: `quick` takes those that need no network (majority class,
    band power with LDA), `all` also EEG only, face only and mean pooling, `none` none."""
    ablate: tuple[str, ...] = ()
    """Grid of settings to compare in the same folds, each `section.key=A,B`, as in
    `model.fusion=none,mlp`; sections model and train."""
    bootstrap: Annotated[int, Field(ge=100)] = 2000
    """Resamples of trials, clips or participants behind each confidence interval."""
    permutations: Annotated[int, Field(ge=100)] = 2000
    """Label shuffles behind each p-value."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Level of the confidence intervals."""


class PredictSettings(Section):
    """Prediction on one's own files."""

    batch_size: Count = 8
    """Segments a forward pass on a GPU; on a CPU every thread takes one at a time."""
    min_faces: Fraction = 0.3
    """Share of a segment's images that must show the participant; with fewer and no usable EEG the
    segment abstains."""
    max_uv: Positive = 500.0
    """Peak-to-peak amplitude after cleaning, in microvolts, above which a channel of a segment is
    bad. Generous: even a blink that was not removed seldom passes 400."""
    max_bad_channels: Fraction = 0.25
    """Share of the model's channels that may be missing, interpolated or bad: with more a segment
    abstains, and a recording that lacks more is refused (prepare repairs as many)."""
    min_confidence: Fraction = 0.0
    """Probability of the most likely class below which a segment abstains; 0 for never."""


class RunSettings(Section):
    """Where and how fast the work runs.

    Changes no result beyond rounding and enters no fingerprint.
    """

    device: Device = "auto"
    """`auto` takes cuda, then mps, then cpu."""
    precision: Precision = "auto"
    """Arithmetic of training and prediction; `auto` takes bfloat16 where the card has it, else
    float32."""
    compile: Compile = "auto"
    """Whether the backbone is compiled (minutes at the start); `auto` compiles on a CUDA card that
    can."""
    deterministic: bool = False
    """Use only algorithms that give the same bits for the same seed, at some cost in speed."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes side by side; 0 for one a core (evaluate: for one fold after the other)."""
    scheduler: str = ""
    """Dask scheduler that `prepare` sends its work to, as in `tcp://host:8786`; its workers must
    see the same files. Empty for processes of this machine."""
    loader_workers: Annotated[int, Field(ge=-1)] = -1
    """Processes that read training samples ahead; 0 for none, -1 for none on a CPU and up to 8 on a
    GPU."""
    micro_batch: Annotated[int, Field(ge=0)] = 0
    """Samples that go through the model at once, the gradients being added up to `batch_size`; 0
    for all that fit in memory."""
    checkpoint_min: Positive = 10.0
    """A checkpoint is saved after every epoch, and within one whenever this many minutes have
    passed."""
    report_to: str = "auto"
    """Trackers, by Trainer's names and comma-separated (`tensorboard,wandb`); `auto` for
    TensorBoard where it is installed, `none` for none."""


class Settings(BaseModel):
    """All settings, by section."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of everything random: initial weights, order of samples, splits, resampling."""
    data: DataSettings = DataSettings()
    eeg: EegSettings = EegSettings()
    faces: FacesSettings = FacesSettings()
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    finetune: FinetuneSettings = FinetuneSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    predict: PredictSettings = PredictSettings()
    run: RunSettings = RunSettings()

    @property
    def samples_at_once(self) -> int:
        """Samples that go through the model at once where it is judged."""
        return self.run.micro_batch or self.train.batch_size

    def with_micro_batch(self, samples: int) -> Settings:
        """Give the same settings, for so many samples through the model at once."""
        run = self.run.model_copy(update={"micro_batch": samples})
        return self.model_copy(update={"run": run})
