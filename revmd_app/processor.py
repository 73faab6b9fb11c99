"""What XLA should be told of the processor before JAX starts. It only sets environment variables and imports nothing.

A small system is many short loops. XLA would cut them up among threads, which costs more than it saves (measured: up to
three times), and would use half of the vector registers of a processor that has wide ones. The labs and `revmd bench`
call `prepare`; so can any program, before it first uses JAX:

    from revmd_app import processor

    processor.prepare()

Large dense products, as of neural potentials on many cores, are better off without.
"""

from __future__ import annotations

import hashlib
import os
import platform
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


def keep_programs() -> None:
    """Let JAX keep compiled programs in the user's cache directory, so that the second start is quick."""
    # XLA calls every program that it loads from the cache an error, for want of "features" that no processor has.
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # a page or kernel that has imported JAX left us a 1
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache_folder()))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")


def cache_folder() -> Path:
    """Where compiled programs are kept between runs: one folder for each kind of processor.

    JAX does not tell processors apart, and a program made for a newer one is an illegal instruction on an older one
    that shares the home directory.
    """
    import platformdirs

    cpuinfo, wanted = Path("/proc/cpuinfo"), ("model name", "flags", "Features")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else [platform.processor()]
    about = sorted({line for line in lines if line.startswith(wanted)}) or lines[:1]
    kind = hashlib.sha256("".join([platform.machine(), *about]).encode()).hexdigest()[:10]
    return Path(platformdirs.user_cache_dir("revmd", appauthor=False)) / "compiled" / kind
