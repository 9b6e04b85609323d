"""Random changes to training images and their boxes, in the graph."""
