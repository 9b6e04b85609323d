"""Pages of one HTML file that load nothing from elsewhere.

What a page shows may come from strangers: all that is put in is escaped, and the policy
in `base.html` allows no script, and no address but that of the page's own images.
"""

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image

_BASE = Path(__file__).parent


def render_page(
    template: Path, filters: dict[str, Callable] | None = None, **values: Any
) -> str:
    """Returns a page as HTML.

    Args:
        template: a file that extends `base.html`.
        filters: of the template, besides `code`, for texts with code between `.
        **values: what the template puts in.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, _BASE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"code": _with_code} | (filters or {})
    return environment.get_template(template.name).render(values)


def image_address(image: np.ndarray, quality: int = 80) -> str:
    """Returns an image, uint8 [h, w, 3], as the data URI of a JPEG."""
    file = io.BytesIO()
    # With full colour, in which thin lines stay what they are.
    Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _with_code(text: str) -> Markup:
    """Returns a text as HTML, what stands between ` as code."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))
