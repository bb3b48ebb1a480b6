"""Reading and writing artifacts: whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from harness.errors import InconclusiveError


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of one.

    Lone surrogates, which UTF-8 has no bytes for, are written as ``\\uXXXX``: right in JSON, and the other
    formats have none left.

    :raises OSError: when it cannot be written; nothing is left behind.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
        # mkstemp lets only its owner read; these are files like any other.
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def dump_json(data: Any) -> str:
    """Return the data as JSON for people to read too."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    :raises InconclusiveError: when it is missing, truncated or no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise unreadable(path, f"not valid JSON ({error})") from error


def unreadable(path: Path, why: object) -> InconclusiveError:
    """Return the error for an artifact that cannot be read."""
    return InconclusiveError(f"An artifact could not be read: {path}: {why}.")


def inside(folder: Path, relative: str) -> Path:
    """Return the path in the folder.

    :raises ValueError: when it would lead out of it.
    """
    path = folder / relative
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{relative!r} leads out of the run folder")
    return path


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
