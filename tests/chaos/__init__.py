"""Whole processes under faults: killed, frozen, cut off, fed garbage; and an oracle that asks if anything was lost.

`python -m tests.chaos --help`, or `make chaos`. What the runs found stands in docs/reliability.md.
"""
