"""Faults for `faults.py`.

Each is a function of a `small_runs.Trial` that returns what was struck, and the losses.
"""
