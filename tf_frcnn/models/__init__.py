"""Detectors as Keras models: their parts, and the models made of them."""
