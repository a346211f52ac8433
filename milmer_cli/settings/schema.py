"""The schema of all settings: type, unit, range, default, meaning and source of each.

Sections hold values only. Settings that change a result are in the section of their stage; settings
that only change where and how fast the work runs are in `RunSettings`, which enters no fingerprint.

The string below an attribute is its documentation: it is shown by ``--help``, by ``milmer settings
init`` and in the JSON Schema.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

STORE_SECTIONS = ("eeg", "faces")
"""Sections whose settings are fixed when a store is prepared."""

Source = Literal["auto", "bdf", "dat", "mat"]
Detector = Literal["auto", "centerface", "sfd", "yunet", "scrfd", "retinaface", "blazeface", "dlib"]
BadChannels = Literal["interpolate", "keep"]
EogCorrection = Literal["auto", "none", "regression", "ica", "icalabel"]
Layout = Literal["plain", "published"]
Target = Literal["quadrant", "valence", "arousal", "label"]
EegUnit = Literal["auto", "nV", "uV", "mV", "V"]
Ties = Literal["low", "high", "drop", "published"]
EegAmplitude = Literal["none", "sd", "bands"]
EegAmplitudeScale = Literal["microvolts", "recording"]
EegAlignment = Literal["none", "euclidean", "standardize"]
AlignmentScope = Literal["inductive", "transductive"]
BadChannelTokens = Literal["mask", "interpolate"]
Fusion = Literal["none", "mlp", "cross_attention"]
Selection = Literal["none", "softmax", "amil", "mean", "attention_topk", "attention_weighted_topk"]
Scorer = Literal["pooled", "published"]
Modalities = Literal["both", "eeg", "face"]
SplitProtocol = Literal[
    "segment", "trial", "session", "participant", "stimulus", "participant-stimulus"
]
"""What the sets of a split of one store do not share."""
Protocol = Literal[SplitProtocol, "cross-dataset"]
"""Protocol of a result; under ``cross-dataset``, the sets are of two stores."""
Split = Literal["folds", "holdout"]
EpochSet = Literal["validation", "test"]
Baselines = Annotated[str, Field(min_length=1, max_length=10_000)]
DeviceType = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Compile = Literal["auto", "on", "off"]
Inference = Literal["auto", "torch", "openvino"]
Crop = Literal["auto", "true", "false"]

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
LearningRate = Annotated[float, Field(gt=0.0, le=100.0)]
Epochs = Annotated[int, Field(ge=1, le=100_000)]
BatchSize = Annotated[int, Field(ge=1, le=65_536)]
ValidationFraction = Annotated[float, Field(gt=0.0, lt=1.0)]

MAX_SEED = 2**31 - 1
"""NumPy accepts seeds below 2**32, and repetitions count up from the given seed."""
MAX_WORKERS = 1024
"""Worker processes at most; each takes some hundred megabytes of memory."""


class Section(BaseModel):
    """Base of all sections: frozen, rejects unknown keys, NaN and infinities."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class DataSettings(Section):
    """Which recordings are used and how ratings become classes."""

    source: Source = "auto"
    """Which of DEAP's EEG files to read; `auto` takes the first available of bdf, dat and mat."""
    participants: str = ""
    """Participants to use: numbers, names and ranges of either, as in `1,3-5` or `s01,s03-s05`;
    empty for all."""
    conditions: tuple[str, ...] = ()
    """Experimental conditions to use, from the column `condition` of a manifest, for example
    `[Listening]`; empty for all."""
    eeg_channels: str = ""
    """EEG channels to use, in order, separated by `;`, whatever their names are; empty for all
    electrodes of the 10-05 system that the recordings share (DEAP: 32). The column `eeg_channels`
    of a manifest has priority."""
    channels_file: str = ""
    """Table (CSV) with the columns `channel` and `name` that renames channels of the EEG files of a
    manifest or a prediction; empty for none."""
    eeg_unit: EegUnit = "auto"
    """Unit of the numbers in the EEG files of a manifest or a prediction; `auto` for the unit that
    the file states."""
    trial_type: str = ""
    """Of a BIDS data set: types of the events that are trials, separated by commas, as in the
    column `trial_type` of events.tsv (`value` if there is none); empty for the only type whose
    events last 1 s or longer."""
    label_column: str = ""
    """Of a BIDS data set: column of events.tsv with the class of a trial; empty for `label`, or for
    `trial_type` if several types are trials and there are no ratings."""
    target: Target = "quadrant"
    """Classes to predict: the four valence/arousal quadrants (paper), low and high valence or
    arousal, or the column `label` of a manifest."""
    threshold: Annotated[float, Field(ge=1.0, le=9.0)] = 5.0
    """A rating above this value is high, on a scale from 1 to 9 (paper: 5)."""
    ties: Ties = "low"
    """Class of a rating equal to the threshold: `low`, `high`, `drop` to leave the trial out, or
    `published` for the published code's rule (quadrants only)."""


class EegSettings(Section):
    """EEG preprocessing and segmentation. A change requires running prepare again."""

    sfreq_hz: Annotated[float, Field(ge=64.0, le=2048.0)] = 128.0
    """Sampling rate of the stored EEG, in Hz (DEAP's preprocessed files: 128)."""
    band_hz: tuple[float, float] = (1.0, 50.0)
    """Cutoff frequencies of the zero-phase band-pass filter, in Hz (published code: 1 to 50)."""
    notch_hz: Annotated[float, Field(ge=0.0, le=1000.0)] | Literal["auto"] = "auto"
    """Power line frequency that a notch filter removes before resampling, in Hz; 0 disables it.
    `auto` takes it from the file or its BIDS sidecar, or finds 50 or 60 Hz in the spectrum."""
    segment_s: Annotated[float, Field(ge=0.5, le=60.0)] = 3.0
    """Duration of a segment, in seconds (paper: 3)."""
    overlap_s: Annotated[float, Field(ge=0.0, le=60.0)] = 0.0
    """Overlap of consecutive segments, in seconds; must be less than `segment_s` (published: 0)."""
    bad_channels: BadChannels = "interpolate"
    """Treatment of the bad channels of raw recordings, which are found in windows of one second:
    interpolate them there from their neighbors, or keep them. They never enter the average
    reference."""
    eog_correction: EogCorrection = "auto"
    """Removal of eye artifacts from raw recordings. `regression` on the EOG channels is
    deterministic and takes seconds. `ica` removes the independent components that correlate with an
    EOG channel or, without one, with the frontal electrodes; it takes up to a minute. `icalabel`
    removes those that the network ICLabel classifies as eye blinks, and needs the extra
    `milmer-cli[icalabel]`. `auto` is `regression` with EOG channels and `ica` without. With `none`,
    the EEG branch can read eye movements, which belong to the face."""
    layout: Layout = "plain"
    """How a trial is cut into segments. `plain` keeps electrodes and time apart. `published`
    reproduces the published code's reshape, which mixes them (a "segment" is 2-3 electrodes over
    the whole trial), and its band-pass after the reshape."""

    @model_validator(mode="after")
    def _check_overlap(self) -> EegSettings:
        if not self.overlap_s < self.segment_s:
            raise ValueError(f"overlap_s must be less than segment_s = {self.segment_s:g}")
        if self.layout == "published" and self.overlap_s:
            raise ValueError("overlap_s must be 0 with layout published")
        return self

    @model_validator(mode="after")
    def _check_band(self) -> EegSettings:
        low, high = self.band_hz
        if not 0.0 < low < high < self.sfreq_hz / 2:
            raise ValueError(
                f"band_hz must satisfy 0 < low < high < sfreq_hz / 2 = {self.sfreq_hz / 2:g}"
            )
        return self


class FacesSettings(Section):
    """Face detection and cropping. A change requires running prepare again."""

    detector: Detector = "auto"
    """Face detector: centerface, whose weights are installed with Milmer, or one of face-alignment.
    `auto` takes the best one of face-alignment whose weights are on disk, and otherwise centerface.
    dlib finds few faces below a cap."""
    instances: Annotated[int, Field(ge=1, le=1000)] = 10
    """Face images per segment, evenly spaced in time (paper: 10)."""
    margin: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """Margin added on each side of the detected box, as a fraction of its size (published code:
    0.1)."""
    image_size: Annotated[int, Field(ge=32, le=512)] = 224
    """Side of the stored square face images, in pixels (input of Swin-Tiny: 224)."""
    weights_dir: str = ""
    """Folder with the detectors' weights; empty for the cache of PyTorch Hub, which face-alignment
    uses."""
    align: bool = True
    """Rotate, move and scale each face so that eyes, nose and mouth are at fixed places (published:
    false; measured in bench/README.md). Only centerface returns these landmarks; with other
    detectors this has no effect."""


class QualitySettings(Section):
    """The rule that decides which segments count, in training, evaluation, prediction and inspect.

    A modality of a segment that is not usable is masked. A segment without a usable modality is
    left out, and the prediction abstains.
    """

    reject_ptp_uv: Annotated[float, Field(ge=0.0, le=1e6)] = 500.0
    """Peak-to-peak amplitude after preprocessing, in microvolts, above which a channel of a segment
    is bad; 0 disables. Even an uncorrected blink rarely exceeds 400."""
    max_bad_channels: Share = 0.25
    """Maximum fraction of the channels that are missing, bad, flat or above `reject_ptp_uv` in a
    segment. Above it, the EEG of the segment is not usable. predict rejects a recording that lacks
    more channels."""
    min_faces: Share = 0.3
    """Minimum fraction of a segment's images with a face. Below it, the faces of the segment are
    not usable."""


class ModelSettings(Section):
    """The Milmer model. The backbone determines the width and the number of tokens per face."""

    backbone: str = "MahmoudWSegni/swin-tiny-patch4-window7-224-finetuned-face-emotion-v12"
    """Backbone for faces: a folder written by finetune-swin, the name of an image model on the
    Hugging Face Hub (Swin, SwinV2, ViT, DINOv2, ConvNeXt and others of transformers), or
    `scratch:tiny` / `scratch:micro` for random weights."""
    freeze_backbone: bool = False
    """Keep the backbone's weights fixed and train only the rest of the model."""
    channel_embedding: bool = True
    """Add a learned embedding of the electrode to each EEG token. Without it (published), the model
    is invariant to the order of the electrodes."""
    eeg_amplitude: EegAmplitude = "none"
    """Amplitude of each EEG channel that is added to its token, standardized on the training set:
    the log standard deviation (`sd`) or the log power in the delta, theta, alpha, beta and gamma
    bands (`bands`). With `none` (published), LayerNorm removes all amplitudes."""
    eeg_amplitude_scale: EegAmplitudeScale = "microvolts"
    """Scale of `eeg_amplitude`. `recording` divides the EEG of a participant by its median
    amplitude over all channels and segments, so that a factor on a recording has no effect. This
    uses the EEG of the test participants, without labels (transductive)."""
    eeg_alignment: EegAlignment = "none"
    """Alignment of the EEG of each participant, before the model and before all baselines.
    `euclidean` multiplies it by R^-1/2, with R the mean covariance of its segments (He and Wu,
    2020). `standardize` gives each channel a mean of 0 and a common standard deviation."""
    eeg_alignment_scope: AlignmentScope = "inductive"
    """EEG from which `eeg_alignment` is estimated. `inductive`: the training set; a participant who
    is not in it gets the average of the training participants. `transductive`: all EEG of each
    participant, also that of the test set, without labels; such results are marked
    TRANSDUCTIVE."""
    selection: Selection = "attention_weighted_topk"
    """How instances of a bag are selected (paper: attention_weighted_topk). `mean` is a baseline
    that weights all instances equally."""
    scorer: Scorer = "pooled"
    """Attention scorer of the top-k selections. `pooled` scores mean tokens and multiplies the
    selected tokens by their weights, so it receives a gradient. `published` scores flattened faces
    (1.4 billion weights) and uses the result only as an index, so it is never trained."""
    num_select: Annotated[int, Field(ge=1, le=1000)] = 3
    """Number of instances to select (paper: 3)."""
    selection_noise: Annotated[float, Field(ge=0.0, le=1000.0)] = 2.0
    """Scale of the Gumbel noise added to the pooled scores during training. Larger values require a
    larger score margin of informative instances. With 0, instances that are never selected are
    never trained on (measured in bench/README.md)."""
    fusion: Fusion = "cross_attention"
    """How face tokens are reduced before they join the EEG tokens (paper: cross_attention)."""
    modalities: Modalities = "both"
    """Modalities that the model uses."""
    num_heads: Annotated[int, Field(ge=1, le=1024)] = 12
    """Attention heads of the fusion and of the encoder (paper: 12); must divide the backbone's
    width."""
    num_layers: Annotated[int, Field(ge=1, le=100)] = 2
    """Layers of the transformer encoder (paper: 2)."""
    dim_feedforward: Annotated[int, Field(ge=1, le=65_536)] = 2048
    """Width of the encoder's feed-forward layers (paper: 2048)."""
    dropout: Fraction = 0.2
    """Dropout rate in the encoder and the fusion (paper: 0.2)."""
    classifier_dropout: Fraction = 0.1
    """Dropout rate before the classifier (paper: 0.1)."""
    modality_dropout: Fraction = 0.1
    """Fraction of training segments whose EEG or faces are masked (published: 0)."""
    channel_dropout: Fraction = 0.0
    """Fraction of the EEG channels that are masked in each training segment, never all of them, so
    that the model can predict with missing electrodes (published: 0)."""
    bad_channels: BadChannelTokens = "interpolate"
    """Bad and missing EEG channels of a segment: `mask` hides their tokens from the model;
    `interpolate` uses their interpolated values (published). With eeg.bad_channels=keep,
    `interpolate` uses the recorded values."""

    @property
    def transductive(self) -> bool:
        """Whether the model uses the EEG of the test set without labels."""
        if self.modalities == "face":
            return False
        scaled = self.eeg_amplitude != "none" and self.eeg_amplitude_scale == "recording"
        aligned = self.eeg_alignment != "none" and self.eeg_alignment_scope == "transductive"
        return scaled or aligned

    @model_validator(mode="after")
    def _check_alignment(self) -> ModelSettings:
        if self.eeg_alignment != "none" and self.eeg_amplitude_scale == "recording":
            raise ValueError(
                "eeg_alignment sets the amplitude of the EEG and cannot be combined with "
                "eeg_amplitude_scale recording"
            )
        if self.eeg_alignment == "euclidean" and self.bad_channels == "mask":
            raise ValueError(
                "eeg_alignment euclidean mixes the channels and cannot be combined with "
                "bad_channels mask"
            )
        return self


class LearningSettings(Section):
    """Optimization, for any network."""

    epochs: Epochs = 100
    """Passes over the training set."""
    batch_size: BatchSize = 14
    """Samples per optimizer step, over all processes together."""
    lr: LearningRate = 1e-4
    """Peak learning rate of AdamW."""
    min_lr_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """Final learning rate of the cosine schedule, as a fraction of `lr` (published: 0.1)."""
    warmup_ratio: Fraction = 0.05
    """Fraction of the steps during which the learning rate rises from 0 to `lr` (published: 0)."""
    weight_decay: Annotated[float, Field(ge=0.0, le=100.0)] = 0.01
    """Weight decay of AdamW; not applied to norms, biases and position tables (PyTorch: 0.01)."""
    backbone_lr_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    """Learning rate of the backbone, as a fraction of `lr`."""
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Factor on the learning rate for each backbone block further from the output; 1 disables."""
    max_grad_norm: Annotated[float, Field(ge=0.0, le=1e6)] = 1.0
    """Maximum norm of the gradient, to which larger ones are clipped; 0 disables (published: 0)."""
    augment: Annotated[float, Field(ge=0.0, le=2.0)] = 1.0
    """Strength of flip, rotation, scale, shift, brightness and contrast augmentation of faces, the
    same for all images of a bag; 0 disables (published: 0). With a frozen backbone, there is
    none."""
    label_smoothing: Fraction = 0.0
    """Fraction of the target distribution that is spread evenly over all classes."""
    class_weights: bool = False
    """Weight the loss by the inverse frequency of the class in the training set."""
    ema_decay: Fraction = 0.0
    """Decay per step of an exponential moving average of the weights, which is then validated and
    saved; 0 disables."""
    patience: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Stop after this many epochs without improvement; 0 runs all epochs (published: 0)."""


class TrainSettings(LearningSettings):
    """Training of the Milmer model (published: epochs, batch_size, lr, weight_decay, schedule)."""

    backbone_lr_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """Learning rate of the backbone, as a fraction of `lr` (published: 1). The faces of a few
    participants are learned faster than their expressions. Use 1 for a backbone with random
    weights."""
    protocol: SplitProtocol = "trial"
    """What the training, validation and test sets never share."""
    test_fraction: Fraction = 0.2
    """Fraction of the groups (trials, participants, ...) in the test set."""
    validation_fraction: ValidationFraction = 0.2
    """Fraction of the training set that is held out to select the epoch."""


class FinetuneSettings(LearningSettings):
    """Fine-tuning of the backbone on images of facial expressions."""

    epochs: Epochs = 10
    """Passes over the training images."""
    batch_size: BatchSize = 32
    """Images per optimizer step, over all processes together."""
    lr: LearningRate = 5e-5
    """Peak learning rate of AdamW."""
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    """Factor on the learning rate for each backbone block further from the output; 1 disables."""
    label_smoothing: Fraction = 0.1
    """Fraction of the target distribution that is spread evenly over all classes."""
    class_weights: bool = True
    """Weight the loss by the inverse frequency of the class; expression data sets are
    imbalanced."""
    validation_fraction: ValidationFraction = 0.2
    """Fraction of the images that is held out to select the epoch, for data sets without a
    validation set."""
    image_size: Annotated[int, Field(ge=0, le=512)] = 0
    """Side of the images, in pixels; 0 for the backbone's input size."""
    crop: Crop = "auto"
    """Detect the face in each image and crop it as prepare does, with the section `faces`; images
    without a face are excluded and listed. `auto` leaves data sets whose images are face crops
    already (such as FER2013) as they are."""
    drop_path_rate: Fraction = 0.1
    """Stochastic depth rate of the backbone (Swin-Tiny: 0.1); without effect on architectures that
    have none, such as ViT."""


class EvaluateSettings(Section):
    """Cross-validation, comparisons and intervals."""

    protocols: Annotated[tuple[SplitProtocol, ...], Field(min_length=1)] = (
        "trial",
        "session",
        "participant",
        "stimulus",
    )
    """What the training and test sets do not share; several protocols form a ladder. If there are
    several, those that the data do not allow are skipped with a warning (`session` without one if
    it is only there by default)."""
    split: Split = "folds"
    """`folds` tests every segment once; `holdout` draws one test set of `test_fraction`
    (published)."""
    folds: Annotated[int, Field(ge=2, le=10_000)] = 5
    """Number of folds."""
    test_fraction: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """Fraction of the groups in the test set of `split: holdout` (published: 0.2)."""
    noise_floor: bool = False
    """Train the first fold again with another number of threads, and report how much the result
    changes: a smaller difference between two models is meaningless."""
    seeds: Annotated[int, Field(ge=1, le=1000)] = 1
    """Number of repetitions, each with other folds and other initial weights."""
    per_participant: bool = False
    """Train a separate model for each participant (published)."""
    select_epoch_on: EpochSet = "validation"
    """Set on which the epoch is selected. `test` selects it on the test set, as the published code
    does; such results are marked LEAKY."""
    baselines: Baselines = "quick"
    """Baselines in the same folds: `quick` (majority class, and band power with LDA), `all`,
    `none`, or names separated by commas, as listed by `milmer evaluate --list-baselines`. Also
    `braindecode:CLASS`, a network for EEG; `MODULE:CLASS`, any other one (it runs code and is
    refused in a settings file); and pretrained encoders with a linear classifier,
    `braindecode:CLASS@WEIGHTS` and `face:WEIGHTS`."""
    ablate: tuple[str, ...] = ()
    """Settings to compare in the same folds, each as `section.key=A,B`, for example
    `model.fusion=none,mlp`; several form a grid. Sections: model and train."""
    calibration_trials: tuple[Annotated[int, Field(ge=0, le=10_000)], ...] = ()
    """Numbers of labeled trials of each new participant to which the model and band power are
    adapted, separated by commas, for example `0,1,2,4,8`; empty for none. All are tested on the
    trials that none of them uses. Needs a protocol that tests new participants."""
    n_bootstraps: Annotated[int, Field(ge=100, le=100_000)] = 2000
    """Bootstrap samples for each confidence interval."""
    n_permutations: Annotated[int, Field(ge=100, le=100_000)] = 2000
    """Label permutations for each p-value."""
    confidence_level: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Level of the confidence intervals."""
    equivalence_margin: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.02
    """Largest difference between two accuracies, as a fraction, that is regarded as equal in
    practice."""

    @field_validator("calibration_trials", mode="before")
    @classmethod
    def _split_at_commas(cls, value: Any) -> Any:
        entries = value if isinstance(value, (list, tuple)) else [value]
        return [part for entry in entries for part in str(entry).split(",") if part.strip()]

    @field_validator("calibration_trials")
    @classmethod
    def _sort_from_0(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted({0, *value})) if value else ()


class PredictSettings(Section):
    """Prediction on new recordings."""

    batch_size: BatchSize = 8
    """Segments per forward pass on a GPU; on a CPU each thread processes one segment at a time."""
    min_confidence: Fraction = 0.0
    """Probability of the most likely class below which the model abstains; 0 disables."""


class RunSettings(Section):
    """Where and how fast the work runs.

    These settings change results by rounding at most and enter no fingerprint.
    """

    device: DeviceType = "auto"
    """Device; `auto` takes the first available of cuda, mps and cpu."""
    precision: Precision = "auto"
    """Floating-point format of training and prediction; `auto` takes bfloat16 on GPUs that support
    it, otherwise float32."""
    compile: Compile = "auto"
    """Compile the backbone with torch.compile, which takes minutes at the start; `auto` compiles on
    CUDA devices that support it."""
    inference: Inference = "auto"
    """Library that runs a trained or frozen backbone; `auto` takes OpenVINO on a CPU in float32 if
    it is installed and the images are worth its compilation (seconds), otherwise torch."""
    deterministic: bool = False
    """Use only deterministic algorithms: the same seed gives the same bits, at some cost in
    speed."""
    workers: Annotated[int, Field(ge=0, le=MAX_WORKERS)] = 0
    """Parallel worker processes; 0 for one per core, and for face detection on CUDA one per GPU
    (evaluate: 0 trains the folds one by one)."""
    scheduler: str = ""
    """Address of the Dask scheduler that `prepare` uses, as in `tcp://host:8786`; its workers must
    see the same files. Empty for processes on this machine."""
    dataloader_num_workers: Annotated[int, Field(ge=-1, le=MAX_WORKERS)] = -1
    """Processes that load training samples; 0 loads in the main process, -1 selects 0 on a CPU and
    up to 8 on a GPU."""
    micro_batch_size: Annotated[int, Field(ge=0, le=65_536)] = 0
    """Samples per forward and backward pass; gradients are accumulated up to `batch_size`. 0
    selects the largest size that fits in memory."""
    checkpoint_interval_min: Annotated[float, Field(gt=0.0, le=10_000.0)] = 10.0
    """Minutes between checkpoints within an epoch; a checkpoint is also saved after every epoch."""
    report_to: str = "auto"
    """Experiment trackers by their names in transformers, separated by commas (for example
    `tensorboard,wandb`); `auto` for TensorBoard if it is installed, `none` for none."""


class Settings(BaseModel):
    """All settings, by section."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    """Seed of all random numbers: initial weights, order of samples, splits and resampling."""
    data: DataSettings = DataSettings()
    eeg: EegSettings = EegSettings()
    faces: FacesSettings = FacesSettings()
    quality: QualitySettings = QualitySettings()
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    finetune: FinetuneSettings = FinetuneSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    predict: PredictSettings = PredictSettings()
    run: RunSettings = RunSettings()

    @property
    def inference_batch_size(self) -> int:
        """Samples per forward pass in validation and testing."""
        return self.run.micro_batch_size or self.train.batch_size

    def with_micro_batch_size(self, samples: int) -> Settings:
        """Return the same settings with another `RunSettings.micro_batch_size`."""
        run = self.run.model_copy(update={"micro_batch_size": samples})
        return self.model_copy(update={"run": run})
