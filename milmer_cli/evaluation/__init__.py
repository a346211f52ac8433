"""What an evaluation does between the splits and the page: many trainings, and what they show.

In the order of the data:

- `rounds`     protocols and seeds -> folds, each checked
- `rivals`     the model, its baselines and the grid of an ablation
- `bandpower`  EEG -> band power, and shrinkage LDA on it
- `work`       one training in one fold -> `Outcome`, kept on disk under its identity
- `checkup`    what one checkpoint makes of missing modalities and deleted faces
- `probes`     whether features name the participant and the clip
- `running`    all of it, side by side, what is there already left alone
- `summary`    outcomes -> scores, comparisons, tables
"""
