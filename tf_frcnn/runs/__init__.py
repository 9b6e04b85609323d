"""Run folders: training, alternating training, callbacks, inference, reports."""
