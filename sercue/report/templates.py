"""Pages from templates, and what stands on each of them: style, version and date."""

from __future__ import annotations

import datetime
import importlib.metadata
from pathlib import Path
from typing import Any

import jinja2

from sercue.tables import markup

TEMPLATES = Path(__file__).parents[1] / "templates"


def on_every_page() -> dict[str, str]:
    """The style of all pages, the version that made them, and today's date."""
    return {
        "style": (TEMPLATES / "report" / "style.css").read_text(encoding="utf-8"),
        "version": importlib.metadata.version("sercue"),
        "date": datetime.date.today().isoformat(),
    }


def page_of(template: str, **facts: Any) -> str:
    """The HTML of a page.

    Args:
        template: the name of its template
        facts: what it is filled with, besides ``on_every_page``
    """
    loader = jinja2.FileSystemLoader([TEMPLATES, TEMPLATES / "report"])
    environment = jinja2.Environment(loader=loader, autoescape=True)
    environment.filters["prose"] = markup.prose
    return environment.get_template(template).render(**on_every_page(), **facts)
