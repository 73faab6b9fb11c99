"""What a person can get wrong from Python: refused in one sentence: what was wrong, and what would be right.

A check must also stay out of the way: what `jit`, `vmap` and `grad` trace is never looked at.
"""

from __future__ import annotations

import io
import json
import math
import zipfile

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine.liquids import KEY, small_liquid, start_of
from hypothesis import given
from hypothesis import strategies as st

from revmd_app.archive import read_arrays
from revmd_app.checks import check_number, machine_memory, whole_number
from revmd_app.engine.integrator import Settings
from revmd_app.engine.restart import Recorder, load_restart
from revmd_app.engine.simulate import SimulationError, advance, rewind, simulate
from revmd_app.potentials import (
    PAIR_FORMS,
    DoubleExponential,
    DoubleWell2D,
    Expression,
    HarmonicAngle,
    HarmonicBond,
    HarmonicTrap,
    LennardJones,
    Mie,
    MullerBrown,
    ReactionField,
)
from revmd_app.potentials.formula import parse
from revmd_app.systems import argon, build, prepared, store

BROKEN = (math.nan, math.inf, -math.inf)
LIQUID = small_liquid()
SYSTEM, POTENTIAL, *_ = LIQUID
SETTINGS = Settings(0.004, 94.4, 1.0, neighbours="dense")
STILL = np.zeros((3, SYSTEM.n_atoms))


def refusal(function, *arguments, error=ValueError, **options) -> str:
    """The one sentence with which a call is refused."""
    with pytest.raises(error) as caught:
        function(*arguments, **options)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 400
    return sentence


def sentence_of(call) -> str | None:
    """The sentence of a `ValueError`, or None when the call succeeds; any other error is a failure of the test."""
    try:
        call()
    except ValueError as error:
        said = str(error)
    else:
        return None
    assert "\n" not in said
    assert len(said) < 400
    return said


@pytest.mark.parametrize("form", PAIR_FORMS.values(), ids=lambda form: form.__name__)
def test_no_parameter_of_a_pair_form_is_nan_or_infinite(form):
    for name in form.parameters:
        for value in (*BROKEN, "0.3", None):
            assert f"{name} of {form.__name__} must be" in refusal(form, **{name: value})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LennardJones(sigma=0.0), "sigma of LennardJones must be a positive number (nm), not 0; it starts at"),
        (lambda: LennardJones(sigma=-0.3), "not -0.3"),
        (lambda: LennardJones(epsilon=-1.0), "epsilon of LennardJones must be at least 0 (kJ/mol), not -1"),
        (lambda: Mie(n=6.0, m=12.0), "n of Mie must exceed m, and has 6 against 12"),
        (lambda: DoubleExponential(alpha=4.0, beta=4.0), "the repulsion has to be steeper than the attraction"),
        (lambda: HarmonicBond(k=-1.0), "k of HarmonicBond must be at least 0 (kJ/mol/nm²)"),
        (lambda: HarmonicAngle(theta0=109.5), "theta0 of HarmonicAngle must be a number from 0 to 3.14159 (rad)"),
        (lambda: HarmonicTrap(k=math.nan), "k of HarmonicTrap"),
        (lambda: DoubleWell2D(half_distance=0.0), "half_distance of DoubleWell2D must be a positive"),
        (lambda: MullerBrown(scale=-1.0), "scale of MullerBrown"),
        (lambda: ReactionField(charge=math.inf), "charge of ReactionField must be a finite number (e), not inf"),
        (lambda: ReactionField(epsilon_rf=0.5), "epsilon_rf, a dielectric constant, must be at least 1, not 0.5"),
        (lambda: LennardJones(cutoff=0.0), "the cutoff must be a positive number (nm), not 0; half the box"),
        (lambda: LennardJones(cutoff=math.inf), "the cutoff must be a positive number (nm), not inf"),
        (lambda: LennardJones(cutoff="wide"), "not 'wide'"),
        (lambda: Expression("a/r^12", {"a": math.nan}), "the value of 'a' must be a finite number, not nan"),
        (lambda: Expression("a/r^12").with_values(a=math.inf), "the value of 'a'"),
        (lambda: Expression("a/r^12", cutoff=-1.0), "the cutoff must be"),
        (lambda: Expression(["r"]), "a formula is a text, not list"),
    ],
)  # fmt: skip
def test_potentials_that_mean_nothing(make, words):
    assert words in refusal(make)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dt": 0.0}, "the time step dt must be a positive number (ps), not 0; liquid argon takes 0.004"),
        ({"dt": -0.002}, "not -0.002"),
        ({"dt": "fast"}, "not 'fast'"),
        ({"temperature": -10.0}, "the temperature must be at least 0, not -10; it is an absolute one"),
        ({"friction": -1.0}, "the friction must be at least 0 (1/ps), not -1; 0 conserves energy"),
        ({"skin": 0.0}, "the skin of the neighbour list"),
        ({"capacity": -1.0}, "the capacity of the neighbour list"),
        ({"precision": "float16"}, "precision must be one of float32, float64, not 'float16'"),
        ({"neighbours": "some"}, "neighbours must be auto, dense or list, not 'some'"),
        *[({name: x}, f"not {x}") for name in ("dt", "temperature", "friction", "skin", "capacity") for x in BROKEN],
    ],
)
def test_settings_that_mean_nothing(options, words):
    assert words in refusal(Settings, **options)


def test_no_friction_and_absolute_zero_are_allowed():
    Settings(0.001, 0.0, 0.0)


def test_what_is_traced_is_never_looked_at():
    """A traced potential or setting has no number to refuse; a batch of good ones passes as a whole."""

    @jax.jit
    def contact(sigma, dt):
        return LennardJones(sigma=sigma).pair_energy(sigma) + 0 * Settings(dt=dt).dt

    assert float(contact(0.3, -1.0)) == pytest.approx(0.0)
    assert contact(-1.0, 0.001).shape == ()
    each = jax.vmap(lambda sigma: LennardJones(sigma=sigma).pair_energy(0.4))(jnp.array([0.3, 0.34]))
    assert each.shape == (2,)
    assert jnp.isfinite(jax.grad(lambda sigma: LennardJones(sigma=sigma).pair_energy(0.4))(0.3))
    assert LennardJones(sigma=jnp.array([0.3, 0.34])).sigma.shape == (2,)
    assert "not -1" in refusal(LennardJones, sigma=jnp.array([0.3, -1.0]))


def run(advance_or_rewind=advance, **changed):
    given = {"system": SYSTEM, "potential": POTENTIAL, "settings": SETTINGS, "state": start_of(LIQUID), "key": KEY}
    given |= {"n_steps": 10} | changed
    return advance_or_rewind(**given)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"n_steps": -1}, "n_steps must be a whole number of at least 0, and below 2^62, not -1"),
        ({"n_steps": 1.5}, "not 1.5"),
        ({"n_steps": 10**30}, "n_steps must be a whole number"),
        ({"n_steps": 10**14}, "need a tape of"),
        ({"key": 3}, "key must be a random key of JAX, such as jax.random.key(0), not int"),
        ({"state": start_of(small_liquid(108))}, "take both from one case"),
        ({"potential": LennardJones(cutoff=5.0)}, "use a larger box or a smaller cutoff"),
        ({"potential": LennardJones(between=("Kr", "Kr"), cutoff=0.4)}, "has no species 'Kr'"),
        ({"potential": eqx.tree_at(lambda p: p.sigma, POTENTIAL, jnp.asarray(0.0))}, "sigma of LennardJones must be"),
        ({"settings": eqx.tree_at(lambda s: s.dt, SETTINGS, jnp.asarray(math.nan))}, "the time step dt must be"),
    ],
)
def test_runs_that_cannot_begin(changed, words):
    assert words in refusal(run, **changed)
    if "tape" not in words:
        assert words in refusal(run, lambda **given: rewind(**given, tape=None), **changed)


def series(**changed):
    given = {"observe": lambda s: s.potential.energy(s), "n_steps": 20, "sample_every": 10, "key": KEY}
    given |= {"settings": SETTINGS, "potential": POTENTIAL, "state": start_of(LIQUID)} | changed
    return simulate(SYSTEM, given.pop("potential"), given.pop("settings"), **given)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"n_steps": 15}, "must be a positive multiple of sample_every (10)"),
        ({"n_steps": 20.0}, "n_steps must be a whole number"),
        ({"sample_every": 0}, "sample_every (0)"),
        ({"n_steps": 10**15}, "run fewer steps at a time"),
        ({"truncate": -1}, "truncate must be a whole number"),
        ({"method": "magic"}, "method must be one of reversible, reverse_mode, checkpointed, forward_mode"),
        ({"key": None}, "key must be a random key"),
        ({"potential": LennardJones(cutoff=5.0)}, "exceeds half the box"),
        ({"state": None}, "start from a `state`, or from `positions` and `velocities` together"),
        ({"state": None, "positions": np.zeros((5, 3)), "velocities": STILL}, "positions must have the shape (3, "),
        ({"state": None, "positions": STILL + math.nan, "velocities": STILL}, "each of the positions must be a finite"),
    ],
)  # fmt: skip
def test_series_that_cannot_begin(changed, words):
    assert words in refusal(series, **changed)


@pytest.mark.parametrize(("name", "n"), [("argon", 108), ("water", 64)])
def test_a_time_step_far_too_long_says_what_to_do(name, n):
    case = prepared(name, n)
    settings = eqx.tree_at(lambda s: s.dt, case.settings, 40 * case.settings.dt)
    _, _, report = advance(case.system, case.potential, settings, case.state, KEY, 200)
    sentence = refusal(report.check, error=SimulationError)
    assert "use a smaller time step" in sentence


@pytest.mark.parametrize(
    ("name", "n", "words"),
    [
        ("argon", 10**7, "must be a whole number from 108 to 4,000, not 10,000,000; a list of who is near whom"),
        ("water", 10**6, "which takes 125 GB for 1,000,000"),
        ("argon", 5, "from 108 to 4,000, not 5"),
        ("argon", "216", "not '216'"),
        ("argon", 216.0, "not 216.0"),
        ("argon", None, "not None"),
        ("argon", math.nan, "not nan"),
        ("argon", True, "not True"),
        ("xenon", 108, "there is no system 'xenon'; there are argon"),
        (None, 108, "there is no system 'None'"),
    ],
)
def test_systems_that_cannot_be_built(name, n, words):
    assert words in refusal(prepared, name, n)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": -1}, "the seed must be a whole number"),
        ({"seed": 1.5}, "the seed must be a whole number"),
        ({"density": 1e6}, "the density of argon must be a finite number above 0 and at most 4, not 1e+06"),
        ({"density": "dense"}, "not 'dense'"),
        ({"temperature": math.nan}, "the temperature of argon must be a positive number, not nan"),
    ],
)
def test_state_points_that_cannot_be(options, words):
    assert words in refusal(argon, 108, **options)


def test_numbers():
    check_number("x", np.float32(1.0), above=0.0)
    check_number("x", jnp.ones(3), at_most=1.0)
    assert whole_number("n", np.int64(3), 1, 4) == 3
    assert 1e8 < machine_memory() < 1e15
    for value in (True, b"1", 1j, np.array(["1"])):
        assert refusal(check_number, "x", value).startswith("x must be a finite number, not ")


@given(st.text(max_size=80) | st.text(alphabet="r(σ)*+-/^_.é\u202e\u200d\x000123456789e,lambda", max_size=60))
def test_any_text_is_a_formula_or_one_sentence(text):
    said = sentence_of(lambda: parse(text))
    assert said is None or said.endswith(".")


# ------------------------------------------------------------------------------------------------------ damaged files


@pytest.fixture(scope="module")
def restart_file(tmp_path_factory):
    run = Recorder(SYSTEM, POTENTIAL, Settings(0.004, 94.4, 60.0, neighbours="dense"), start_of(LIQUID), KEY)
    run.forward(40)
    run.save(path := tmp_path_factory.mktemp("restart") / "run.npz")
    return path


@given(data=st.data())
def test_bytes_changed_anywhere_are_refused_or_harmless(restart_file, tmp_path_factory, data):
    content = bytearray(restart_file.read_bytes())
    near_an_end = st.integers(0, 600) | st.integers(len(content) - 1500, len(content) - 1)
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(near_an_end)] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "run.npz"
    path.write_bytes(content)
    said = sentence_of(lambda: load_restart(path, SYSTEM, POTENTIAL))
    assert said is None or str(path) in said


@given(st.binary(max_size=200))
def test_random_bytes_are_no_restart_file(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("random") / "run.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"is not a restart file|damaged or cut short"):
        load_restart(path, SYSTEM, POTENTIAL)
    path.write_bytes(b"PK\x03\x04" + content)
    with pytest.raises(ValueError, match="damaged or cut short"):
        load_restart(path, SYSTEM, POTENTIAL)


@pytest.mark.parametrize("field", ["since", "settings", "potential", "reference_step", "bits_at_reference", "new"])
@pytest.mark.parametrize("value", [None, -1.5, 10**30, math.nan, "x", [], {}, {"dt": {}}])
def test_a_header_that_makes_no_sense(restart_file, tmp_path, field, value):
    with np.load(restart_file) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(str(arrays["header"]))
    header["controls"][0][field] = value
    np.savez(tmp_path / "odd.npz", **(arrays | {"header": np.array(json.dumps(header))}))
    assert "odd.npz" in refusal(load_restart, tmp_path / "odd.npz", SYSTEM, POTENTIAL)


def bomb(path, claimed: int) -> None:
    """A few kB that unpack to many: zeros, well compressed."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (claimed,)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("lattice.npy", "w") as member:
        member.write(header.getvalue())
        for _ in range(claimed // 2**20):
            member.write(bytes(2**20))


def test_a_small_file_that_unpacks_to_much_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.npz"
    bomb(path, 64 * 2**20)
    assert path.stat().st_size < 200_000
    assert "would unpack to" in refusal(load_restart, path, SYSTEM, POTENTIAL)
    with pytest.raises(ValueError, match="would unpack to 1 fields of 67,"):
        store.read(path, build("argon", 108))


def test_a_header_that_promises_terabytes_is_not_believed(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": (3, 10**12)})
    with zipfile.ZipFile(tmp_path / "liar.npz", "w") as archive:
        archive.writestr("position.npy", header.getvalue() + bytes(100))
    with pytest.raises(ValueError, match="not as long as it says"):
        read_arrays(tmp_path / "liar.npz", 10_000)


def test_pickles_are_never_loaded(tmp_path):
    np.savez(tmp_path / "objects.npz", header=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(ValueError, match="Python objects, which are never loaded"):
        read_arrays(tmp_path / "objects.npz", 10_000)
    assert "never loaded" in refusal(load_restart, tmp_path / "objects.npz", SYSTEM, POTENTIAL)


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive at all", b"PK\x05\x06" + bytes(18)])
def test_prepared_states_that_are_damaged_are_built_again(tmp_path, monkeypatch, content):
    """`prepared` itself is tested where it lives; here: whatever lies in the cache, it is a warning at most."""
    monkeypatch.setattr(store, "shipped_folder", lambda: tmp_path / "none")
    monkeypatch.setattr(store, "cache_folder", lambda: tmp_path)
    case = build("argon", 108)
    (tmp_path / store.file_name(case.recipe)).write_bytes(content)
    with pytest.warns(RuntimeWarning, match="cannot be used .* it is built again"):
        assert store.load(case) is None
