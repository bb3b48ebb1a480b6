from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.reporting import create_run_folder, find_run

_NOBODY = 65534


def test_latest_is_the_newest(tmp_path: Path) -> None:
    """Each run gets its own folder, and latest leads to the newest one."""
    first, second = create_run_folder(tmp_path), create_run_folder(tmp_path)
    assert first != second
    assert find_run(tmp_path, "latest") == second.resolve()
    assert (tmp_path / "latest").readlink() == Path(second.name)


def test_runs_that_start_together_get_their_own_folders(tmp_path: Path) -> None:
    """Runs that start in one moment never share a folder, and leave no half-made link."""
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(create_run_folder, [tmp_path] * 24))
    assert len(set(folders)) == 24
    assert (tmp_path / "latest").is_dir()
    assert {item.name for item in tmp_path.iterdir()} == {"latest", *(folder.name for folder in folders)}


def test_a_run_is_found_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is named by its folder's name or by any path to it."""
    folder = create_run_folder(tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    for name in (folder.name, str(folder), f"runs/{folder.name}"):
        assert find_run(tmp_path / "runs", name) == folder.resolve()


def test_without_links_the_newest_is_the_latest(tmp_path: Path) -> None:
    """Where there is no link, latest is the folder of the newest run, counted as numbers."""
    for name in ("2026-01-02T00-00-00Z-9", "2026-01-02T00-00-00Z-10", "2026-01-01T00-00-00Z"):
        (tmp_path / name).mkdir()
    assert find_run(tmp_path, "latest").name == "2026-01-02T00-00-00Z-10"


def test_an_unknown_run_lists_those_there_are(tmp_path: Path) -> None:
    """The error for an unknown run names the runs there are, the newest first."""
    for day in range(1, 13):
        (tmp_path / f"2026-01-{day:02}T00-00-00Z").mkdir()
    with pytest.raises(UsageError, match=r"Runs: 2026-01-12T00-00-00Z, .* and 2 older\."):
        find_run(tmp_path, "yesterday")


@pytest.mark.parametrize("name", ["latest", ""])
def test_no_runs_yet(tmp_path: Path, name: str) -> None:
    """Without any run the error says so."""
    with pytest.raises(UsageError, match="none yet"):
        find_run(tmp_path / "nowhere", name)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    """A run folder that cannot be made is a usage error with the path and the reason."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"made in .*file/runs: Not a directory .*--runs DIR"):
        create_run_folder(tmp_path / "file" / "runs")


def test_a_folder_called_latest_is_left_alone(tmp_path: Path) -> None:
    """A real folder where the link belongs is not replaced; the error names it."""
    (tmp_path / "latest").mkdir()
    with pytest.raises(UsageError, match="Is a directory"):
        create_run_folder(tmp_path)
    assert not (tmp_path / "latest").is_symlink()


def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    """A folder we may not write to is a usage error, root or not."""
    tmp_path.chmod(0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(_NOBODY)
    try:
        with pytest.raises(UsageError, match="Permission denied"):
            create_run_folder(tmp_path / "runs")
    finally:
        os.seteuid(user)
