"""Prediction as a pipeline of Apache Beam, on any of its runners.

The other modules import apache_beam, which `require_packages` looks for.
"""

import importlib.util
import logging


def require_packages() -> None:
    """Imports apache_beam, without its notes on packages of Google Cloud.

    Raises:
        ImportError: a package that the pipeline needs is not installed.
    """
    for name in ("apache_beam", "pyarrow"):
        if importlib.util.find_spec(name) is None:
            raise ImportError(
                f"--runner needs the package {name}, which is not installed; install "
                'it with pip install "tf-frcnn[beam]".'
            )
    logging.disable(logging.WARNING)
    try:
        import apache_beam  # noqa: F401
    finally:
        logging.disable(logging.NOTSET)
