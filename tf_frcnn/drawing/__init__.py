"""Boxes on images, and ground truth beside predictions."""
