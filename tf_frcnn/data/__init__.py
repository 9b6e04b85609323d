"""Readers and the input pipeline."""
