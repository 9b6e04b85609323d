"""What happens when TensorFlow and Keras are imported after this package.

TensorFlow's notes on its start (oneDNN, CUDA, CPU features) are hidden, unless the
environment variable TF_CPP_MIN_LOG_LEVEL is set; and as soon as Keras is there, the
classes of this package are registered with it, so that `keras.saving.load_model` finds
them. Neither library is imported here.
"""

import contextlib
import importlib.abc
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# Lines of TensorFlow's C++ log from its start, which no setting hides.
_NOTE = re.compile(
    r"WARNING: All log messages before absl::InitializeLog"
    r"|[IWE]\d{4} .*(oneDNN|[Cc][Uu][Dd][Aa]|cuInit|cuDNN|cuBLAS|cuFFT|TF-TRT"
    r"|cpu_feature_guard|computation_placer|This TensorFlow binary is optimized"
    r"|To enable the following instructions|NUMA node)"
)


def watch_imports(when_keras_is_there: Callable[[], object]) -> None:
    """Prepares the imports of TensorFlow and Keras.

    Args:
        when_keras_is_there: called once Keras is imported; at once if it is already.
    """
    if "tensorflow" not in sys.modules and _LEVEL not in os.environ:
        os.environ[_LEVEL] = "2"
        sys.meta_path.insert(0, _Watch("tensorflow", around=_without_notes))
    if "keras" in sys.modules:
        when_keras_is_there()
    else:
        sys.meta_path.insert(0, _Watch("keras", after=when_keras_is_there))


class _Watch(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Lets one package be imported as usual, with something around it and after it."""

    def __init__(self, name, around=contextlib.nullcontext, after=lambda: None):
        self._name, self._around, self._after = name, around, after
        self._loader: importlib.abc.Loader

    def find_spec(self, fullname, path=None, target=None):
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        self._loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        with self._around():
            self._loader.exec_module(module)
        self._after()


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """Holds back what is written to stderr, and then writes all but the notes.

    TensorFlow looks for GPUs within, so that the notes on these come here too.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
            sys.modules["tensorflow"].config.list_physical_devices()
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            for line in held.read().decode(errors="replace").splitlines(keepends=True):
                if not _NOTE.match(line):
                    sys.stderr.write(line)
