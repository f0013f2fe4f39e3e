"""Reports as pages that load nothing and run nothing, made from templates that escape all that is put in."""

from pathlib import Path
from typing import Any

from bot.http.html import templates

_TEMPLATES = templates(Path(__file__).parent / "templates")


def render(template: str, **values: Any) -> str:
    """Return a report as HTML. Each needs a `title`."""
    return _TEMPLATES.get_template(template).render(values)
