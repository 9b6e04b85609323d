"""Published weights by name: downloaded once, checked, and loaded."""

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError

import keras

from tf_frcnn.checkpoints import torchvision
from tf_frcnn.checkpoints.conversion import Loaded, load
from tf_frcnn.checkpoints.files import CheckpointError, first_line, sha256_of
from tf_frcnn.data.checks.facts_cache import (
    CACHE_VARIABLE,
    cache_folder,
    default_folder,
)

MIRROR_VARIABLE = "TF_FRCNN_MIRROR"
_PYTORCH = "https://download.pytorch.org/models"
_LICENCE = "BSD-3-Clause as torchvision; terms of the data set may apply"
# Seconds without a byte after which a server is given up.
_PATIENCE = 60.0


class DownloadError(RuntimeError):
    """A published file cannot be downloaded."""


class Published(NamedTuple):
    """A published file of weights.

    Attributes:
        source: one of `SOURCES`.
        file: its name.
        address: where its authors have it.
        sha256: the first digits of its SHA-256 in hexadecimal.
        figure: the metric that its authors state.
        megabytes: its size in 2^20 bytes.
        licence: of the weights.
        variant: one of the source's, where the file does not tell.
    """

    source: str
    file: str
    address: str
    sha256: str
    figure: str
    megabytes: float
    licence: str
    variant: str | None = None


def _of_pytorch(source, file, figure, megabytes, variant=None) -> Published:
    address, digits = f"{_PYTORCH}/{file}", torchvision.digits_of(file)
    return Published(
        source, file, address, digits, figure, megabytes, _LICENCE, variant
    )


def _detector(variant, box_ap, megabytes) -> Published:
    file, figure = torchvision.FILES[variant], f"COCO box AP {box_ap}"
    return _of_pytorch("torchvision", file, figure, megabytes)


def _mobilenet(variant) -> Published:
    file, figure = "mobilenet_v3_large-8738ca79.pth", "ImageNet top-1 74.042 %"
    return _of_pytorch("imagenet-torchvision", file, figure, 21.1, variant)


# (recipe, name of the weights) -> file. Recipes that Keras has ImageNet weights for get
# these by backbone.weights.
PUBLISHED: dict[tuple[str, str], Published] = {
    ("torchvision_resnet50_fpn", "coco"): _detector(
        torchvision.RESNET_COCO, "37.0", 159.7
    ),
    ("torchvision_resnet50_fpn", "imagenet"): _of_pytorch(
        "imagenet-torchvision",
        "resnet50-0676ba61.pth",
        "ImageNet top-1 76.130 %",
        97.8,
    ),
    ("torchvision_resnet50_fpn_v2", "coco"): _detector(
        torchvision.RESNET_V2, "46.7", 167.1
    ),
    ("torchvision_mobilenet_v3_large_fpn", "coco"): _detector(
        torchvision.MOBILENET, "32.8", 74.2
    ),
    ("torchvision_mobilenet_v3_large_fpn", "imagenet"): _mobilenet(
        torchvision.MOBILENET
    ),
    ("torchvision_mobilenet_v3_large_320_fpn", "coco"): _detector(
        torchvision.MOBILENET_320, "22.8", 74.2
    ),
    ("torchvision_mobilenet_v3_large_320_fpn", "imagenet"): _mobilenet(
        torchvision.MOBILENET_320
    ),
}


def load_published(
    recipe: str,
    weights: str,
    class_names: Sequence[str] | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
) -> Loaded:
    """Loads a detector with published weights, downloaded if they are not here yet.

    Args:
        recipe: of the detector.
        weights: "coco" for a detector of COCO's objects, "imagenet" for a backbone.
        class_names, overrides: see `load`; a backbone needs classes.

    Raises:
        ValueError: `PUBLISHED` has no such weights, or a backbone has no classes.
        DownloadError, CheckpointError: see `fetch`.
    """
    if (recipe, weights) not in PUBLISHED:
        known = ", ".join(f"{weights} of {recipe}" for recipe, weights in PUBLISHED)
        raise ValueError(
            f"weights = {weights!r} of {recipe!r} are not published; there are {known}."
        )
    published = PUBLISHED[recipe, weights]
    if class_names is None and published.source.startswith("imagenet-"):
        raise ValueError(
            f"weights = {weights!r} of {recipe!r} know no objects; give class_names."
        )
    return load(
        published.source,
        fetch(published),
        class_names,
        variant=published.variant,
        overrides=overrides,
    )


def fetch(published: Published) -> Path:
    """Returns the path of a published file, after downloading it once.

    The file lies in `weights` of the cache folder, that of TF_FRCNN_CACHE or by default
    ~/.cache/tf_frcnn; an empty variable, by which nothing is remembered of data sets,
    leaves it at the default. TF_FRCNN_MIRROR names a server or folder (file://...) that
    has the file under the same name. Proxies are those of https_proxy, http_proxy and
    no_proxy.

    Raises:
        DownloadError: the file is not here and cannot be downloaded.
        CheckpointError: what is here, or was downloaded, has other digits.
    """
    path = _folder() / published.file
    if not path.is_file():
        _download(published, path)
    elif not (digits := sha256_of(path)).startswith(published.sha256):
        raise CheckpointError(
            f"{path}: {_other_digits(published, digits)} Delete it to download it anew."
        )
    return path


def _folder() -> Path:
    folder = cache_folder() or default_folder()
    if folder is None:
        raise DownloadError(
            f"Downloads need a folder: set {CACHE_VARIABLE} to one, or XDG_CACHE_HOME."
        )
    return folder / "weights"


def _address(published: Published) -> str:
    mirror = os.environ.get(MIRROR_VARIABLE)
    return f"{mirror.rstrip('/')}/{published.file}" if mirror else published.address


def _download(published: Published, path: Path) -> None:
    """Downloads a file; it gets its name only if it is whole and the right one."""
    address = _address(published)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix="part_") as folder:
            part = _retrieve(address, published.file, folder)
            digits = sha256_of(part)
            is_right = digits.startswith(published.sha256)
            if is_right:
                os.replace(part, path)
    except Exception as error:  # Keras raises no narrower one for what fails.
        raise DownloadError(
            f"{published.file} could not be downloaded from {address} "
            f"({_reason(error)}). Put it, whose SHA-256 begins with "
            f"{published.sha256}, at {path}; its authors have it at "
            f"{published.address}. {MIRROR_VARIABLE} names another server."
        ) from error
    if not is_right:
        raise CheckpointError(f"{address}: {_other_digits(published, digits)}")


def _retrieve(address: str, name: str, folder: str) -> Path:
    with _timeout(_PATIENCE):
        return Path(
            keras.utils.get_file(name, address, cache_dir=folder, cache_subdir="")
        )


@contextlib.contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    """Gives up silent servers within the context; Keras has no argument for it."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds if before is None else before)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _reason(error: Exception) -> str:
    """Returns why a download failed; Keras hides it behind an error of its own."""
    cause = error.__context__
    return first_line(cause if isinstance(cause, URLError) else error)


def _other_digits(published: Published, found: str) -> str:
    return (
        f"the SHA-256 of {published.file} begins with {published.sha256}, that of this "
        f"file with {found[: len(published.sha256)]}; it is damaged, or another one."
    )
