"""The model-based test: drawn examples decide what meets what in the core, stop by stop; then promises are checked.

`machine.py` says what may be drawn; `world.py` what there is: `driver.py` in the workflow's place, `outside.py` the
services. `stops.py` lets one actor go on at a time, `virtual_loop.py` keeps the time. `inside.py` and `database.py`
alone know the core's statements. `invariants.py` judges; `holes.py` puts old defects back, `power.py` looks for them.

Not drawn yet: customers who turn out to be one, files, a handoff that staff approve, limits, and more than one front
door; of a run of the workflow, its continuing as new.
"""
