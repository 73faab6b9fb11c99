"""Runs that can be taken back, put on disk, and taken up again elsewhere, bit for bit.

    run = Recorder(system, potential, settings, state, key)
    run.forward(10_000)
    run.set(settings=hotter)  # logged with its step
    run.forward(10_000)
    run.save("run.npz")

    run = Recorder.load("run.npz", system, potential)  # in another process
    run.backward(20_000)  # through the change, to the integers of the start

A restart file is one `.npz` without pickles: a JSON header, the integers of the state, the tape, and the parameters by
name. Classes are not stored. The reader passes a system and potentials of the same form: their floats come from the
file, and everything else must agree with it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.archive import read_arrays, write_arrays
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import State
from revmd_app.engine.simulate import Tape, advance, change_settings, rewind, tape_capacity
from revmd_app.engine.system import System

FORMAT, VERSION = "revmd restart", 1
TRACED, STATIC = ("dt", "temperature", "friction"), ("precision", "neighbours", "skin", "capacity")
"""The fields of `Settings`: numbers and choices."""
HEADER = {"step": int, "words": int, "key": str, "system": str, "controls": list}
LATTICE = {"position": np.int64, "velocity": np.int64, "image": np.int32}
"""The (3, N) integers of a state."""


class Controls(NamedTuple):
    """What was in force from step `since` on, with the reference from which friction's bits are counted."""

    since: int
    settings: Settings
    potential: Any
    reference_step: int
    bits_at_reference: float


class Recorder:
    """A run that remembers how to go back: its state, its tape, and every change of its controls.

    History is a stack. `forward` pushes tape words and `set` pushes controls; `backward` takes both off again, so a
    run that goes forward after a rewind writes a new history. A run that fails raises `SimulationError` and leaves
    the recorder at its last good state.
    """

    def __init__(self, system: System, potential, settings: Settings, state: State, key):
        self.system, self.state = system, state
        self.key = key if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else jax.random.wrap_key_data(key)
        self.words: list[np.ndarray] = []  # (3, N) uint16 each, newest last
        self.controls = [_controls(state, settings, potential)]

    @property
    def settings(self) -> Settings:
        return self.controls[-1].settings

    @property
    def potential(self):
        return self.controls[-1].potential

    @property
    def step(self) -> int:
        return int(self.state.step)

    @property
    def start(self) -> int:
        """The step to which this run can be taken back."""
        return self.controls[0].since

    @property
    def tape_bytes(self) -> int:
        """Bytes on the tape: the entropy that friction has burnt, and no more."""
        return sum(word.nbytes for word in self.words)

    def forward(self, n_steps: int) -> None:
        """Run on. Raises `ValueError` for a negative number and `SimulationError` for a failed run."""
        if n_steps < 0:
            raise ValueError(f"the number of steps must not be negative, as {n_steps} is; use `backward`.")
        state, tape, report = advance(self.system, self.potential, self.settings, self.state, self.key, n_steps)
        report.check()
        self.state = state
        self.words += list(np.asarray(tape.words[: int(tape.count)]))

    def backward(self, n_steps: int) -> None:
        """Take back the last steps, each under the controls it was made with. Raises `ValueError` before the start."""
        target = self.step - n_steps
        if not self.start <= target <= self.step:
            raise ValueError(f"between 0 and {self.step - self.start} steps can be taken back, not {n_steps}.")
        while self.step > target:
            if self.step == self.controls[-1].since:
                self.controls.pop()
                self.state = _with_reference(self.state, self.controls[-1])
            else:
                self._undo(self.step - max(target, self.controls[-1].since))

    def _undo(self, n_steps: int) -> None:
        """Steps under one set of controls. Only the part of the tape that they can need is handed over."""
        capacity = tape_capacity(self.settings, n_steps)
        newest = self.words[-capacity:]
        words = np.zeros((capacity, 3, self.system.n_atoms), np.uint16)
        if newest:
            words[: len(newest)] = newest
        tape = Tape(jnp.asarray(words), jnp.asarray(len(newest), jnp.int64))
        state, tape, report = rewind(self.system, self.potential, self.settings, self.state, tape, self.key, n_steps)
        report.check()
        self.state = state
        del self.words[len(self.words) - len(newest) + int(tape.count) :]

    def set(self, *, settings: Settings | None = None, potential=None) -> None:
        """Go on from this step with other settings, another potential, or both."""
        if potential is not None:
            potential.check(self.system)
        if settings is not None:
            self.state = change_settings(self.state, self.settings, settings)
        settings = self.settings if settings is None else settings
        self.controls.append(_controls(self.state, settings, self.potential if potential is None else potential))

    def save(self, path) -> None:
        """See `save_restart`."""
        save_restart(path, self)

    @staticmethod
    def load(path, system: System, potentials) -> Recorder:
        """See `load_restart`."""
        return load_restart(path, system, potentials)


def _controls(state: State, settings: Settings, potential) -> Controls:
    return Controls(int(state.step), settings, potential, int(state.reference_step), float(state.bits_at_reference))


def _with_reference(state: State, controls: Controls) -> State:
    reference = jnp.asarray(controls.reference_step, jnp.int64), jnp.asarray(controls.bits_at_reference, jnp.float64)
    return eqx.tree_at(lambda s: (s.reference_step, s.bits_at_reference), state, reference)


# ------------------------------------------------------------------------------------------------------------ on disk


def save_restart(path, run: Recorder) -> None:
    """Write a run to one `.npz`. The file appears complete or not at all; an older one stays until then."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "step": run.step,
        "words": len(run.words),
        "key": str(jax.random.key_impl(run.key)),
        "system": _form(run.system),
        "controls": [_controls_header(controls) for controls in run.controls],
    }
    shape = (len(run.words), 3, run.system.n_atoms)
    arrays = {
        "header": np.array(json.dumps(header)),
        "key": np.asarray(jax.random.key_data(run.key)),
        "tape": np.array(run.words, np.uint16).reshape(shape),
        **{name: np.asarray(getattr(run.state, name)) for name in LATTICE},
        **_named_leaves("system", run.system),
    }
    for k, controls in enumerate(run.controls):
        arrays |= _named_leaves(f"potential {k}", controls.potential)
    write_arrays(Path(path), arrays)


def load_restart(path, system: System, potentials) -> Recorder:
    """Read a run. `system` is of the file's form; `potentials` is one potential, or one of each form that the run used.

    Raises `ValueError` with one sentence when the file is not a restart file, is damaged, of another version or
    incomplete, or does not fit the system or the potentials.
    """
    fields = _Fields(path)
    header = fields.header()
    potentials = potentials if isinstance(potentials, Sequence) else [potentials]
    n, log = system.n_atoms, header["controls"]
    state_arrays = {name: fields.array(name, dtype, (3, n)) for name, dtype in LATTICE.items()}
    tape = fields.array("tape", np.uint16, (header["words"], 3, n))
    system = fields.restore("system", header["system"], [system])
    controls = [_read_controls(entry, fields, k, potentials) for k, entry in enumerate(log)]
    key = jax.random.wrap_key_data(jnp.asarray(fields.array("key", np.uint32, None)), impl=header["key"])
    state = State(
        **{name: jnp.asarray(array) for name, array in state_arrays.items()},
        step=jnp.asarray(header["step"], jnp.int64),
        reference_step=jnp.asarray(0, jnp.int64),
        bits_at_reference=jnp.asarray(0.0, jnp.float64),
    )
    last = controls[-1]
    run = Recorder(system, last.potential, last.settings, _with_reference(state, last), key)
    run.controls, run.words = controls, list(tape)
    return run


def _controls_header(controls: Controls) -> dict:
    s = controls.settings
    settings = {name: float(getattr(s, name)) for name in TRACED} | {name: getattr(s, name) for name in STATIC}
    return controls._asdict() | {"settings": settings, "potential": _form(controls.potential)}


def _read_controls(entry: dict, fields: _Fields, k: int, potentials) -> Controls:
    if not _is_controls(entry):
        raise ValueError(f"the restart file '{fields.path}' is damaged: entry {k} of its controls makes no sense.")
    potential = fields.restore(f"potential {k}", entry["potential"], potentials)
    return Controls(**entry | {"settings": Settings(**entry["settings"]), "potential": potential})


def _is_controls(entry) -> bool:
    """Whether an entry of the header has the fields of `Controls`, each with a value of its kind."""
    settings = entry.get("settings") if isinstance(entry, dict) else None
    if not isinstance(settings, dict) or set(entry) != set(Controls._fields) or set(settings) != {*TRACED, *STATIC}:
        return False
    steps = (entry["since"], entry["reference_step"])
    numbers = (entry["bits_at_reference"], *(settings[name] for name in (*TRACED, "skin", "capacity")))
    most = 2.0**53  # beyond which a float cannot count bits
    return (
        all(type(n) is int and 0 <= n < 2**62 for n in steps)
        and all(type(x) in (int, float) and 0 <= x < most for x in numbers)
        and all(isinstance(word, str) for word in (entry["potential"], settings["precision"], settings["neighbours"]))
    )


def _form(part) -> str:
    """Classes, static fields and shapes, without the numbers: what a reader must bring."""
    if eqx.is_array(part):
        return f"{part.dtype}{list(part.shape)}"
    if isinstance(part, eqx.Module):
        fields = [f"{field.name}={_form(getattr(part, field.name))}" for field in dataclasses.fields(part)]
        return f"{type(part).__name__}({', '.join(fields)})"
    return f"({', '.join(map(_form, part))})" if isinstance(part, tuple) else repr(part)


def _named_leaves(prefix: str, tree) -> dict[str, np.ndarray]:
    paths, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_array))
    return {prefix + jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in paths}


class _Fields:
    """The arrays of a restart file, and the sentences for those that are missing or wrong."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            if file.read(2) != b"PK":
                raise ValueError(f"'{path}' is not a restart file: it is no .npz archive.")
        try:
            self.arrays = read_arrays(path, at_most=os.path.getsize(path))  # nothing in it is compressed
        except ValueError as error:
            raise ValueError(f"the restart file '{path}' is damaged or cut short ({error}).") from error

    def array(self, name: str, dtype, shape) -> np.ndarray:
        """A field of this dtype and shape (None: any)."""
        if name not in self.arrays:
            raise ValueError(f"the restart file '{self.path}' is incomplete: it has no field '{name}'.")
        value = self.arrays[name]
        shape = value.shape if shape is None else shape
        if value.dtype != dtype or value.shape != shape:
            raise ValueError(
                f"the field '{name}' of the restart file '{self.path}' is {value.dtype}{list(value.shape)}, and should "
                f"be {np.dtype(dtype)}{list(shape)}: the file belongs to another system."
            )
        return value

    def header(self) -> dict:
        """The header, once format and version are known to be ours."""
        if "header" not in self.arrays:
            raise ValueError(f"'{self.path}' is not a restart file: it has no header.")
        try:
            header = json.loads(str(self.arrays["header"]))
        except json.JSONDecodeError as error:
            raise ValueError(f"the header of the restart file '{self.path}' is not JSON ({error}).") from error
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise ValueError(f"'{self.path}' is not a restart file: its header does not say '{FORMAT}'.")
        if header.get("version") != VERSION:
            raise ValueError(
                f"the restart file '{self.path}' has version {header.get('version')}; this program reads {VERSION}."
            )
        for name, kind in HEADER.items():
            if not isinstance(header.get(name), kind):
                raise ValueError(f"the restart file '{self.path}' is incomplete: its header has no '{name}'.")
        if not header["controls"] or not 0 <= header["step"] < 2**62:
            raise ValueError(f"the restart file '{self.path}' is damaged: its header has no controls, or no such step.")
        return header

    def restore(self, prefix: str, form: str, templates):
        """The template of this form with the file's floats. Integers (topology) must agree."""
        template = next((t for t in templates if _form(t) == form), None)
        if template is None:
            offered = ", ".join(map(_form, templates))
            raise ValueError(f"the restart file '{self.path}' needs {form}, and was offered {offered}.")
        leaves = []
        for name, leaf in _named_leaves(prefix, template).items():
            stored = self.array(name, leaf.dtype, leaf.shape)
            if not np.issubdtype(leaf.dtype, np.floating) and not np.array_equal(stored, leaf):
                raise ValueError(f"'{name}' in the restart file '{self.path}' differs from that of the system.")
            leaves.append(jnp.asarray(stored))
        dynamic, static = eqx.partition(template, eqx.is_array)
        return eqx.combine(jax.tree.unflatten(jax.tree.structure(dynamic), leaves), static)
