"""Checks of the data that readers find, and the report of its faults."""
