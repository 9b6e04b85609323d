"""Decoding, resizing and padding of images in the graph."""
