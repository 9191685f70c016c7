"""What control groups leave a process: in trees as the kernel documents them, and in a real group of the test's own."""

import subprocess
import sys
from pathlib import Path

import pytest
from memory_group import inside, memory_group

from scaling.system.container_memory import GROUP_FILES, free_container_bytes

V1, V2 = GROUP_FILES


def write_group(folder: Path, kind: str, limit: int | str, used: int, cached: int = 0) -> None:
    version = GROUP_FILES[kind]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / version.limit).write_text(f"{limit}\n")
    (folder / version.usage).write_text(f"{used}\n")
    (folder / "memory.stat").write_text("".join(f"{name} {cached // 2}\n" for name in ("anon", *version.cached)))


def write_process(folder: Path, groups: str, *mounts: tuple[str, Path, str]) -> Path:
    """/proc/self of a process in `groups`; mounts are a root, where it is mounted, and the type of file system."""
    folder.mkdir()
    (folder / "cgroup").write_text(groups)
    lines = [
        "22 27 0:21 / /proc rw,relatime - proc proc rw",
        "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu",
        *(f"35 31 0:32 {root} {at} rw shared:9 - {kind} {kind} rw,memory" for root, at, kind in mounts),
    ]
    (folder / "mountinfo").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("kind", GROUP_FILES)
def test_the_narrowest_group_on_the_way_up_counts_and_cached_files_are_free(kind, tmp_path):
    groups = {V1: "5:cpu:/elsewhere\n4:cpuset,memory:/job/step\n", V2: "0::/job/step\n"}
    process = write_process(tmp_path / "self", groups[kind], ("/", tmp_path, kind))
    write_group(tmp_path / "job" / "step", kind, 2000, used=500)
    assert free_container_bytes(process) == 1500
    write_group(tmp_path / "job", kind, 1000, used=700, cached=200)
    assert free_container_bytes(process) == 500


@pytest.mark.parametrize("kind", GROUP_FILES)
def test_a_container_sees_its_own_group_as_the_root(kind, tmp_path):
    groups = {V1: "4:memory:/docker/c0ffee\n", V2: "0::/\n"}
    roots = {V1: "/docker/c0ffee", V2: "/"}
    process = write_process(tmp_path / "self", groups[kind], (roots[kind], tmp_path, kind))
    write_group(tmp_path, kind, 1000, used=100)
    assert free_container_bytes(process) == 900


def test_where_both_versions_are_mounted_the_one_with_the_memory_controller_tells(tmp_path):
    mounts = ("/", tmp_path / "memory", V1), ("/", tmp_path / "unified", V2)
    process = write_process(tmp_path / "self", "4:memory:/job\n0::/\n", *mounts)
    write_group(tmp_path / "memory" / "job", V1, 1000, used=100)
    (tmp_path / "unified").mkdir()
    assert free_container_bytes(process) == 900


def test_without_a_limit_nothing_is_known(tmp_path):
    process = write_process(tmp_path / "self", "0::/job\n", ("/", tmp_path, V2))
    write_group(tmp_path / "job", V2, "max", used=100)
    assert free_container_bytes(process) is None
    assert free_container_bytes(tmp_path / "no-proc") is None


def test_a_process_in_a_real_group_sees_what_it_leaves():
    limit = 256 * 2**20
    tells = "from scaling.system.container_memory import free_container_bytes; print(free_container_bytes())"
    with memory_group(limit) as group:
        said = subprocess.run(inside(group, [sys.executable, "-c", tells]), capture_output=True, check=True).stdout
    assert 0.8 * limit < int(said) < limit
