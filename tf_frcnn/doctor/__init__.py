"""The examination of a data set before its first training."""
