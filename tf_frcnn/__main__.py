"""Runs the command `tf-frcnn` as `python -m tf_frcnn`."""

import sys

from tf_frcnn.cli import main

if __name__ == "__main__":
    sys.exit(main())
