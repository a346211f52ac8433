"""From the recordings of a data set to the prepared store.

- `listing_counts`: counts of the recordings of a data set that cannot be opened
- `input_check`: `milmer prepare --check`, the inputs of a manifest or listed data set as a table
- `deap_check`: `milmer prepare --check` of DEAP
- `plan`: what has to be computed for a participant, and what can be reused
- `worker_device`: the torch device of a worker process, one GPU per process
- `jobs`: the units of work, the EEG of a participant or the faces of a trial
- `backends`: run jobs in processes of this machine (joblib) or on a Dask cluster
- `progress`: progress of the jobs, in total and by participant
- `participants`: run the jobs of all participants and write each file when its jobs are done
- `result`: what the store contains after `prepare`

To add a backend: add a function like `backends._run_on_cluster` and a setting that selects it.
"""
