"""Memory that a process has done with, and goes back to the system: compilers leave much of it behind.

XLA compiles in threads, and each gets a heap of its own from glibc; what they free stays in those heaps. With one heap,
emptied after each compilation, a child that has shown five liquids holds half as much. Other C libraries do this
themselves, and have neither of these functions: then nothing happens here.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable

M_ARENA_MAX = -8
"""The number of glibc's option (malloc.h): how many heaps there may be."""


def _of_libc(name: str) -> Callable | None:
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except (OSError, TypeError):  # Windows has no such library to ask
        return None


def one_heap() -> None:
    """Let all threads share one heap. Call it before they are started."""
    if option := _of_libc("mallopt"):
        option(M_ARENA_MAX, 1)


def give_back() -> None:
    """Collect what nobody refers to any more, and return free memory to the system: some 20 ms."""
    gc.collect()
    if trim := _of_libc("malloc_trim"):
        trim(0)
