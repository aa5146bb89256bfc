"""The model-based test: drawn examples decide what meets what in the core, stop by stop; then promises are checked.

`machine.py` says what may be drawn, `drawing.py` how often; `world.py` what there is: `driver.py` in the workflow's
place, `customers.py` and `staff.py` before it, `outside.py` behind it. `stops.py` lets one actor go on at a time,
`virtual_loop.py` keeps the time. `inside.py` and `database.py` alone know the core's statements. `invariants.py`
judges; `holes.py` puts old defects back, `power.py` looks for them, `report.py` counts what met. docs/model-test.md.
"""
