"""What happens when TensorFlow and Keras are imported after this package.

TensorFlow's notes on its start (oneDNN, CUDA, CPU features) and XLA's alarms of slow
compilations, which are no faults, are hidden, unless the environment variable
TF_CPP_MIN_LOG_LEVEL is set. The C library is told to keep freed memory, and the garbage
collector to leave out what is imported. And as soon as Keras is there, the classes of
this package are registered with it, so that `keras.saving.load_model` finds them.
Neither library is imported here.
"""

import contextlib
import gc
import importlib.abc
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# Parameters of glibc's `mallopt` and their values: M_TRIM_THRESHOLD (never), M_TOP_PAD,
# M_MMAP_MAX and M_ARENA_MAX. Another arena than the first would use maps again.
_KEEPING = {-1: -1, -2: 2**26, -4: 0, -8: 1}
# What says in the environment how memory is to be kept.
_SAYS_HOW = re.compile(r"MALLOC_|GLIBC_TUNABLES")
# Lines of TensorFlow's C++ log from its start, which no setting hides.
_NOTE = re.compile(
    r"WARNING: All log messages before absl::InitializeLog"
    r"|[IWE]\d{4} .*(oneDNN|[Cc][Uu][Dd][Aa]|cuInit|cuDNN|cuBLAS|cuFFT|TF-TRT"
    r"|cpu_feature_guard|computation_placer|This TensorFlow binary is optimized"
    r"|To enable the following instructions|NUMA node)"
)


def watch_imports(package: str, when_keras_is_there: Callable[[], object]) -> None:
    """Prepares the imports of TensorFlow and Keras.

    Args:
        package: the name of this one.
        when_keras_is_there: called once Keras is imported, by whomever, and neither
            TensorFlow nor a module of this package is half imported; at once if Keras
            is there already.
    """
    if "tensorflow" in sys.modules:
        keep_freed_memory()
    else:
        is_quiet = _LEVEL not in os.environ
        # XLA's alarms come as errors. What fails raises an exception anyway, and what
        # ends the process (level 3) is written.
        os.environ.setdefault(_LEVEL, "3")

        @contextlib.contextmanager
        def first():
            keep_freed_memory()
            notes = _without_notes() if is_quiet else contextlib.nullcontext()
            with _without_collections(), notes:
                yield

        sys.meta_path.insert(0, _Watch(r"tensorflow", around=first))
    if "keras" in sys.modules:
        when_keras_is_there()
        return

    @contextlib.contextmanager
    def outermost():
        try:
            yield
        finally:
            if "keras" not in sys.modules:
                sys.meta_path.insert(0, watch)
        if "keras" in sys.modules:
            when_keras_is_there()

    watch = _Watch(rf"tensorflow|keras|{package}\..*", around=outermost)
    sys.meta_path.insert(0, watch)


def keep_freed_memory() -> None:
    """Has the C library keep the memory that is freed, for what is computed next.

    Otherwise it returns each large array to Linux, which hands the next one out page by
    page, filled with zeros: a sixth to a quarter of the time of a step on a CPU. The
    process then stays as large as it was at its largest. Nothing is done where the
    environment says how (`MALLOC_ARENA_MAX` and the like, `GLIBC_TUNABLES`), nor with
    another C library than glibc.
    """
    import ctypes  # Nothing else needs it, and not everyone imports TensorFlow.

    is_glibc = "CS_GNU_LIBC_VERSION" in getattr(os, "confstr_names", ())
    if is_glibc and not any(map(_SAYS_HOW.match, os.environ)):
        for parameter, value in _KEEPING.items():
            ctypes.CDLL(None).mallopt(parameter, value)


class _Watch(importlib.abc.MetaPathFinder):
    """Lets the next import of one of some modules run as usual, within a context.

    Args:
        names: pattern of the modules' names.
        around: makes the context.
    """

    def __init__(self, names: str, around: Callable):
        self._names, self.around = re.compile(names), around

    def find_spec(self, fullname, path=None, target=None):
        if not self._names.fullmatch(fullname):
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            sys.meta_path.insert(0, self)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self)
        return spec


class _Loader(importlib.abc.Loader):
    """The loader of a watched module; those who only look for one find its own."""

    def __init__(self, own, watch: _Watch):
        self._own, self._watch = own, watch

    def __getattr__(self, name):
        return getattr(self._own, name)

    def create_module(self, spec):
        return self._own.create_module(spec)

    def exec_module(self, module):
        with contextlib.suppress(ValueError):  # Another module was first.
            sys.meta_path.remove(self._watch)
        module.__spec__.loader = module.__loader__ = self._own
        with self._watch.around():
            self._own.exec_module(module)


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """Spares the garbage collector all that is imported, which is never garbage.

    It would look at it again and again: a fifth of the time that the import takes, and
    most of the time of each full collection later.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


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
