"""Where the content that is not code lives: ``scenarios/``, ``sql/`` and ``reports/``.

In a checkout they are top-level folders, for people to read and add to. In an installed wheel they
travel inside the package, so that site-packages gains one name only.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def content(name: str) -> Path:
    """Return the folder of that name: the installed copy when there is one, else the checkout's."""
    installed = _PACKAGE / "_content" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
