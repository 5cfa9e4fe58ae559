"""Labelling as a job of many tasks, on the processes of one machine, on SLURM or on Ray.

A job is the labelling of one store. Its pictures are cut into a fixed number of tasks by the hash
of their names (`plan`); a `worker` labels one task at a time, an engine (`local`, `slurm`,
`ray_core`) hands tasks to workers. What must survive a process is kept beside the store, in
STORE/tasks.
"""
