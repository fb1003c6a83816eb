"""Hyperparameter studies with Optuna, from one machine to a cluster.

`__main__.py` is the command; `space.py` reads a search space; `storage.py` opens the study's
database; `sampling.py` chooses samplers and pruners; `study.py` asks for trials, hands them to
workers and tells what came of them. `worker.py` is what a worker does, in a process of this machine
(`processes.py`) or on a Dask cluster (`cluster.py`).

Only the main process speaks with the database, however many workers it has: it asks and tells,
workers train. So SQLite has a single writer, workers need neither Optuna nor a way to the database,
and a lost connection is waited for in one place.
"""
