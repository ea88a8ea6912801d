"""Retry runs: many failed records processed again as a job that is watched, ramped, paused and never doubled.

`selection` says which records, `orders` is what people do to a run, `work` and `slice` are what a worker does, `judge`
decides when a run pauses by itself, `standing` tells how it stands.
"""
