"""Metrics in NumPy; no TensorFlow."""
