"""From a prepared store to batches: labels, splits and torch data sets.

In data-flow order:

- `labels`: derive classes from ratings, with the rule for ties at the threshold
- `stratified_groups`: assign whole groups of segments to folds, stratified by class and participant
- `quality`: the rule that decides which modalities of a segment are usable
- `signal_quality`: `SignalQuality`, the rule applied to a whole participant, for summaries
- `eeg_transform`: moments of the EEG of a participant, and the maps of its channels
- `labeled_segments`: `LabeledSegments`, the segments of a store with their labels
- `eeg_alignment`: align the EEG of participants, for the model and all baselines
- `splits`: folds and hold-outs by protocol
- `split_checks`: check that the sets of a fold share nothing that the protocol keeps apart
- `cross_dataset`: `CrossDataset`, two stores of which one is for training and one for testing
- `split_file`: read and write ``splits.json``
- `named_splits`, `deap_splits`: splits of DEAP that ship with the package
- `dataset`: `BagDataset`, whose batches are the arguments of `MilmerModel.forward`
- `prepared_dataset`: `PreparedDataset`, all labeled segments of a store, for one's own code
- `augmentation`: random changes of face images during training
- `feature_cache`: `TokenBagDataset`, which reads the cached face tokens of a frozen backbone

To add a protocol: name its units in ``splits.UNITS_KEPT_APART`` and in `Protocol` of the settings
schema, state in ``splits._split_units`` which units are split, and in
``split_checks.require_protocol`` which stores it needs. What its intervals sample and what its
result generalizes to is in ``metrics.resampling``.
"""
