"""`python -m tf_frcnn` is the command `tf-frcnn`."""

import sys

from tf_frcnn.cli import main

if __name__ == "__main__":
    sys.exit(main())
