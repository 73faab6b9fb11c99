"""Memory of a process and all its descendants, as Linux counts it."""

from __future__ import annotations

from pathlib import Path

from revmd_app.bench.records import Resident

PROC = Path("/proc")


def of(pid: int, after: str) -> Resident:
    """Proportional and resident bytes, summed. Raises `OSError` where there is no /proc (only Linux has it)."""
    family = descendants(pid)
    held = [held for held in map(_held, family) if held is not None]
    pss = [p for p, _ in held]
    return Resident(
        after,
        processes=len(held),
        pss=None if None in pss else sum(p for p in pss if p is not None),
        rss=sum(r for _, r in held),
    )


def descendants(pid: int) -> list[int]:
    """The process and everything that it started, and that these started."""
    if not (PROC / str(pid)).is_dir():
        raise OSError(f"the memory of process {pid} cannot be read: there is no {PROC / str(pid)}.")
    children: dict[int, list[int]] = {}
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue  # it has just ended
            parent = int(stat.rpartition(")")[2].split()[1])  # the name, in parentheses, may hold anything
            children.setdefault(parent, []).append(int(folder.name))
    family, new = [], [pid]
    while new:
        family += new
        new = [child for parent in new for child in children.get(parent, [])]
    return family


def _held(pid: int) -> tuple[int | None, int] | None:
    """(PSS, RSS) in bytes, PSS None where the kernel does not tell; None when the process has ended."""
    try:
        status = _fields(PROC / str(pid) / "status")
        rolled = PROC / str(pid) / "smaps_rollup"
        pss = _fields(rolled).get("Pss") if rolled.exists() else None
    except OSError:
        return None
    return pss, status.get("VmRSS", 0)


def _fields(path: Path) -> dict[str, int]:
    found = {}
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        if value.strip().endswith("kB"):
            found[name] = 1024 * int(value.split()[0])
    return found
