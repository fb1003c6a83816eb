"""Hyperparameter studies with Optuna, from one machine to a cluster.

`__main__.py` is the command; `space.py` reads a search space; `storage.py` opens the study's
database; `sampling.py` chooses samplers and pruners; `study.py` asks Optuna for trials, gives them
to workers and reports their results; `trials.py` counts trials and queues interrupted ones again.
`worker.py` is the work of a worker, in a process of this machine (`processes.py`) or on a Dask
cluster (`cluster.py`, `task.py`).

Only the main process uses the database, however many workers there are. So SQLite has a single
writer, workers need neither Optuna nor a connection to the database, and only one place waits for a
lost connection.
"""
