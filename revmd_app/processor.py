"""What XLA should be told of the processor before JAX starts. It only sets environment variables and imports nothing.

A small system is many short loops. XLA would cut them up among threads, which costs more than it saves (measured: up to
three times), and would use half of the vector registers of a processor that has wide ones. The labs and `revmd bench`
call `prepare`; so can any program, before it first uses JAX:

    from revmd_app import processor

    processor.prepare()

Large dense products, as of neural potentials on many cores, are better off without.
"""

from __future__ import annotations

import os
from pathlib import Path

ONE_CORE = "--xla_cpu_multi_thread_eigen=false"
WIDE_VECTORS = "--xla_cpu_prefer_vector_width=512"


def flags() -> list[str]:
    """XLA's flags for this processor: one thread, and 512-bit vectors where there are some."""
    return [ONE_CORE, WIDE_VECTORS] if has_wide_vectors() else [ONE_CORE]


def has_wide_vectors() -> bool:
    """Whether the processor says that it has AVX-512; False where it cannot be asked."""
    about = Path("/proc/cpuinfo")
    return about.is_file() and " avx512f " in about.read_text(encoding="utf-8", errors="replace")


def prepare() -> None:
    """Add the flags to XLA_FLAGS (what the user has set there stays) and make XLA's pool of threads one."""
    given = os.environ.get("XLA_FLAGS", "").split()
    named = {flag.split("=")[0] for flag in given}
    new = [flag for flag in flags() if flag.split("=")[0] not in named]
    os.environ["XLA_FLAGS"] = " ".join([*given, *new])
    os.environ.setdefault("NPROC", "1")
