"""What is compiled, and when: once for the shape of a problem, and never again when a number changes.

Moving a slider must not cost seconds. XLA tells of every program that it compiles; so a change of every number that a
person can turn is made here, and the programs are counted.
"""

from __future__ import annotations

from contextlib import contextmanager

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from revmd_app.engine.restart import Recorder
from revmd_app.engine.simulate import advance, rewind, simulate
from revmd_app.labs.knobs import TYPED
from revmd_app.labs.tune_model import TuneModel
from revmd_app.labs.tune_worker import Simulation
from revmd_app.observables import RadialDistributionFunction
from revmd_app.systems import prepared

KEY = jax.random.key(1)
COMPILED: list[float] = []


def _listen(event: str, seconds: float, **_) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        COMPILED.append(seconds)


jax.monitoring.register_event_duration_secs_listener(_listen)


@contextmanager
def counted(exactly: int):
    """Check how many programs are compiled inside."""
    before = len(COMPILED)
    yield
    assert len(COMPILED) - before == exactly


def compiled_by(call) -> int:
    """How many programs a call compiles."""
    before = len(COMPILED)
    jax.block_until_ready(call())
    return len(COMPILED) - before


@pytest.fixture(scope="module")
def liquid():
    return prepared("argon", 108)


def with_sigma(potential, value):
    return eqx.tree_at(lambda p: p.sigma, potential, value)


def test_the_counter_counts():
    assert compiled_by(lambda: jax.jit(lambda x: x * 3.25 + 1)(jnp.arange(7.0))) >= 1


class Silent:
    """A link to nobody."""

    def post(self, kind, payload=None):
        assert kind != "exploded", payload


def shown(model, simulation):
    """Turn the page's change into curves and a picture, as the lab does."""
    model.curves()
    simulation.follow(model.request())
    simulation.picture()


@pytest.fixture
def lab(request):
    """A model and its simulation, shown twice: everything that is needed has been compiled."""
    liquid, form, formula = request.param
    model = TuneModel()
    model.liquid = liquid
    if form:
        model.formula, model.form = formula, form
    simulation = Simulation(Silent())
    simulation.follow(model.request())
    simulation.show()
    for _ in range(2):
        shown(model, simulation)
    return model, simulation


@pytest.mark.parametrize(
    "lab",
    [
        ("Argon, 108 atoms", None, None),
        ("Argon, 108 atoms", TYPED, "A*exp(-b*r) + 4*epsilon*((sigma/r)^12 - (sigma/r)^6)"),
        ("Water, 64 molecules", None, None),
    ],
    indirect=True,
    ids=["argon", "formula", "water"],
)
def test_no_slider_compiles_anything(lab):
    model, simulation = lab
    with counted(exactly=0):
        for knob in model.knobs:
            model.turn(knob.key, 1.01 * knob.value)
            shown(model, simulation)
        for name, value in {
            "temperature": 1.1 * model.temperature,
            "friction": 7.5,
            "time_step": 0.9 * model.time_step,
            "steps_per_picture": 5,
            "memory": "everything",
        }.items():
            setattr(model, name, value)
            shown(model, simulation)
        model.friction = 0.0
        shown(model, simulation)
        model.restore()
        shown(model, simulation)


@pytest.mark.parametrize("lab", [("Argon, 108 atoms", None, None)], indirect=True)
def test_a_cutoff_is_part_of_the_simulation_but_not_of_the_curves(lab):
    """Another cutoff is another program (it decides who is a neighbour), once; going back costs nothing."""
    model, simulation = lab
    first = model.cutoff
    with counted(exactly=0):
        for cutoff in (0.8, 0.7, 0.6):
            model.cutoff = cutoff
            model.curves()
    model.cutoff = 0.75
    assert compiled_by(lambda: shown(model, simulation)) <= 2  # to move the atoms, and to measure
    with counted(exactly=0):
        for cutoff in (first, 0.75):
            model.cutoff = cutoff
            shown(model, simulation)


def test_runs_of_any_length_and_setting_are_one_program(liquid):
    """Also with what `tree_at` puts there: a Python float, or a number of weak type."""
    case = liquid

    def there_and_back(potential, settings, n_steps):
        state, tape, _ = advance(case.system, potential, settings, case.state, KEY, n_steps)
        return rewind(case.system, potential, settings, state, tape, KEY, n_steps)[0]

    for settings in (case.settings, eqx.tree_at(lambda s: s.temperature, case.settings, 110.0)):
        compiled_by(lambda settings=settings: there_and_back(case.potential, settings, 50))
    turned = [eqx.tree_at(lambda s: s.temperature, case.settings, t) for t in (120.0, jnp.asarray(80.0))]
    turned += [eqx.tree_at(lambda s: s.dt, case.settings, jnp.asarray(0.003, jnp.float64))]
    moved = [with_sigma(case.potential, sigma) for sigma in (0.33, jnp.asarray(0.35))]
    for settings in turned:
        assert compiled_by(lambda settings=settings: there_and_back(case.potential, settings, 70)) == 0
    for potential in moved:
        assert compiled_by(lambda potential=potential: there_and_back(potential, case.settings, 300)) == 0


def test_a_recorder_compiles_each_direction_once(liquid):
    case = liquid
    run = Recorder(case.system, case.potential, case.settings, case.state, KEY)
    hot = eqx.tree_at(lambda s: s.temperature, case.settings, jnp.asarray(120.0))
    run.forward(40)
    run.set(settings=hot, potential=with_sigma(case.potential, jnp.asarray(0.33)))
    run.backward(10)
    with counted(exactly=0):
        run.forward(200)
        run.set(settings=case.settings)
        run.forward(300)
        run.backward(500)


def test_a_series_and_its_gradient_are_compiled_once(liquid):
    """Also where nobody wrote `jax.jit`: notebooks call `simulate` as it is."""
    case, rdf = liquid, RadialDistributionFunction(r_max=0.8, n_bins=20)

    def peak(potential, settings=case.settings, **options):
        given = {"observe": rdf, "n_steps": 20, "sample_every": 10, "key": KEY, "state": case.state} | options
        return simulate(case.system, potential, settings, **given).mean(axis=0).max()

    hot = eqx.tree_at(lambda s: s.temperature, case.settings, 120.0)
    other = with_sigma(case.potential, jnp.asarray(0.33))
    assert compiled_by(lambda: peak(case.potential)) > 0
    assert compiled_by(lambda: peak(case.potential)) == 0
    assert compiled_by(lambda: peak(other, hot, key=jax.random.key(9))) == 0
    gradient = jax.value_and_grad(peak)
    compiled_by(lambda: gradient(case.potential))
    compiled_by(lambda: gradient(other))  # the sums of a cotangent have a type of their own: small programs
    assert compiled_by(lambda: gradient(other, hot, key=jax.random.key(9))) == 0
    assert compiled_by(lambda: gradient(case.potential)) == 0
    compiled = jax.jit(gradient)
    compiled_by(lambda: compiled(case.potential))
    assert compiled_by(lambda: compiled(with_sigma(case.potential, jnp.asarray(0.35, jnp.float64)))) == 0
