"""Looks through a data set for what would spoil a training, before it costs hours.

`examination.examine` finds, `page` and `terminal` show, `mending` mends; the opening of a
run and `fit` take the short form, `brief`.
"""
