"""Refusals in one sentence: what was given, and what would be right. Numbers under a trace are let through.

A value that `jit`, `vmap` or `grad` traces has no number to look at, and a check must cost nothing there; so every
check here looks at concrete values only.
"""

from __future__ import annotations

import functools
import math
import numbers
import operator
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np


def concrete(value: Any) -> np.ndarray | None:
    """The value as a float array, or None where it is traced (or stands for one, as in a tree of placeholders)."""
    if isinstance(value, jax.core.Tracer) or not isinstance(value, numbers.Real | np.ndarray | np.generic | jax.Array):
        return None
    return np.asarray(value)


def check_number(
    name: str,
    value: Any,
    unit: str = "",
    *,
    above: float = -math.inf,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    advice: str = "",
) -> None:
    """Raise `ValueError` unless every element of `value` is finite and within the range. Traced values pass.

    `above` excludes its own value; `advice` names a good value, and ends the sentence.
    """
    given = concrete(value)
    if given is None and not (value is None or isinstance(value, str | bytes | complex)):
        return
    shown = f"{value!r:.60}"
    if given is not None and given.dtype.kind in "fiu":
        good = np.isfinite(given) & (given > above) & (given >= at_least) & (given <= at_most)
        if np.all(good):
            return
        shown = f"{given[~good].flat[0]:.6g}"
    wanted = _range(above, at_least, at_most) + (f" ({unit})" if unit else "")
    raise ValueError(f"{name} must be {wanted}, not {shown}" + (f"; {advice}." if advice else "."))


def _range(above: float, at_least: float, at_most: float) -> str:
    if above == 0 and math.isinf(at_most):
        return "a positive number"
    if math.isfinite(above):
        return f"a finite number above {above:g}" + (f" and at most {at_most:g}" if math.isfinite(at_most) else "")
    if math.isfinite(at_least):
        return f"a number from {at_least:g} to {at_most:g}" if math.isfinite(at_most) else f"at least {at_least:g}"
    return "a finite number"


def whole_number(name: str, value: Any, at_least: int, at_most: int, advice: str = "") -> int:
    """The value as an `int`. Raises `ValueError` when it is no whole number within the range."""
    end = f"; {advice}." if advice else "."
    try:
        n = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        n = None
    if n is None or not at_least <= n <= at_most:
        given = repr(value) if n is None else f"{n:,}"
        wanted = f"from {at_least:,} to {at_most:,}" if at_most < 1e12 else f"of at least {at_least:,}, and below 2^62"
        raise ValueError(f"{name} must be a whole number {wanted}, not {given:.60}{end}")
    return n


@functools.cache
def machine_memory() -> int:
    """Bytes of memory that this process may use: the machine's, or less where a container sets a limit."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else []
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limits.append(int(Path(path).read_text()))
        except (OSError, ValueError):  # no such container, or "max": no limit
            continue
    return min(limits, default=2**63 - 1)


def readable_bytes(n: float) -> str:
    """1.2e10 -> "12 GB"."""
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if n >= size:
            return f"{n / size:,.{0 if n >= 10 * size else 1}f} {unit}"
    return f"{n / 1e3:.0f} kB"
