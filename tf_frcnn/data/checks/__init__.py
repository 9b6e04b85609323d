"""Checks of what readers find, and the report of what was found wrong."""
