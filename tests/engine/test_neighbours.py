"""Neighbour lists against a search through all pairs, and forces that do not know which list they come from."""

from __future__ import annotations

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine.liquids import case
from hypothesis import given
from hypothesis import strategies as st

from revmd_app.engine import loops
from revmd_app.engine import neighbours as lists
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import from_physical, to_snapshot
from revmd_app.engine.system import make_system
from revmd_app.potentials import LennardJones, ReactionField

BOX = np.array([1.9, 2.2, 2.6])
SKIN = 0.1
COUNTS = (37, 64)
MOLECULES = np.concatenate([np.arange(37), np.arange(64) // 2])  # a B pair belongs to the molecule of an A
POTENTIAL = (
    LennardJones(0.2, 0.5, cutoff=0.7, between=("A", "A"))
    + LennardJones(0.25, 0.3, cutoff=0.55, between=("A", "B"))
    + ReactionField(-0.8, {"A": 1.0, "B": -0.5}, cutoff=0.8)
)
LISTED = Settings(0.001, precision="float64", neighbours="list", skin=SKIN, capacity=3.0)


@cache
def mixture():
    return make_system("mixture", ("A", "B"), COUNTS, (10.0, 3.0), BOX, molecule=MOLECULES)


@eqx.filter_jit
def build(system, plan, state):
    return lists.build(plan, system, state)


def random_state(seed):
    """Atoms anywhere, but none closer than a tenth of a nanometre to the next: forces stay moderate."""
    rng, chosen = np.random.default_rng(seed), []
    while len(chosen) < sum(COUNTS):
        trial = rng.random(3) * BOX
        d = np.array(chosen).reshape(-1, 3) - trial
        d -= BOX * np.round(d / BOX)
        if not chosen or np.min(np.sum(d * d, axis=1)) > 0.1**2:
            chosen.append(trial)
    return from_physical(mixture(), np.array(chosen).T, np.zeros((3, sum(COUNTS))))


def distances(state):
    """(N, N) by rounding, in float64."""
    x = np.asarray(to_snapshot(mixture(), state, LISTED).positions)
    d = x[:, :, None] - x[:, None, :]
    d -= BOX[:, None, None] * np.round(d / BOX[:, None, None])
    return np.sqrt(np.sum(d * d, axis=0))


@given(st.integers(0, 2**31))
def test_a_list_holds_exactly_the_near_pairs_of_other_molecules(seed):
    system, state = mixture(), random_state(seed)
    plan = lists.make_plan(system, POTENTIAL, LISTED)
    verlet, r = build(system, plan, state), distances(state)
    assert not bool(verlet.overflowed)
    assert len(plan.blocks) == 4  # A-A, A-B and B-A, and all with all
    for block, table in zip(plan.blocks, verlet.neighbours.tables, strict=True):
        for column, i in zip(np.asarray(table).T, range(block.a0, block.a1), strict=True):
            near = np.flatnonzero((r[i] < block.cutoff + SKIN) & (MOLECULES[i] != MOLECULES))
            near = near[(near >= block.b0) & (near < block.b1)]
            assert column[: len(near)].tolist() == near.tolist()
            assert np.all(column[len(near) :] == i)


@given(st.integers(0, 2**31))
def test_a_list_gives_what_all_pairs_give(seed):
    """Energy, forces and both products of the reverse pass, for blocks of one and of two species."""
    system, state = mixture(), random_state(seed)
    w = jnp.asarray(np.random.default_rng(seed).normal(size=(3, system.n_atoms)))
    plan = lists.make_plan(system, POTENTIAL, LISTED)
    for got, wanted in zip(
        jax.tree.leaves(everything(state, w, build(system, plan, state).neighbours)),
        jax.tree.leaves(everything(state, w, None)),
        strict=True,
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9 * np.max(np.abs(wanted)))


@eqx.filter_jit
def everything(state, w, neighbours):
    snapshot = to_snapshot(mixture(), state, LISTED, POTENTIAL, neighbours)
    return POTENTIAL.energy(snapshot), POTENTIAL.forces(snapshot), POTENTIAL.force_vjp(snapshot, w)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_any_valid_list_gives_the_same_bits(precision):
    """Skins and capacities move a neighbour up and down its column; the force must not notice."""
    it = case("argon", 500)
    moves = jax.random.randint(jax.random.key(1), (3, 500), -(2**57), 2**57)  # up to 1/128 of the box
    state = eqx.tree_at(lambda s: s.position, it.state, it.state.position + moves)

    @eqx.filter_jit
    def forces(settings, plan):
        world = loops.make_world(it.system, it.potential, settings, jax.random.key(0), plan)
        verlet = lists.build(plan, it.system, state)
        return loops.forces(world, state.position, verlet), verlet.overflowed

    results = []
    for skin, capacity in ((0.12, 1.35), (0.05, 1.7), (0.3, 1.5)):
        settings = Settings(precision=precision, neighbours="list", skin=skin, capacity=capacity)
        force, overflowed = forces(settings, lists.make_plan(it.system, it.potential, settings))
        assert not bool(overflowed)
        results.append(np.asarray(force))
    assert np.max(np.abs(results[0])) > 1
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_a_list_is_valid_until_an_atom_has_moved_half_the_skin():
    system, state = mixture(), random_state(1)
    plan = lists.make_plan(system, POTENTIAL, LISTED)
    verlet = build(system, plan, state)

    def moved(distance):
        bits = int(distance / np.sqrt(3) / BOX[0] * 2.0**64)
        move = np.array([[bits], [int(bits * BOX[0] / BOX[1])], [int(bits * BOX[0] / BOX[2])]])
        return state.position.at[:, 5].add(move[:, 0])  # one atom, along the diagonal, maybe across the boundary

    valid = lambda position: bool(lists.is_valid(plan, system, verlet, position))
    assert valid(state.position)
    assert valid(moved(0.49 * SKIN))
    assert not valid(moved(0.51 * SKIN))
    assert not valid(moved(2 * SKIN))


def test_a_table_that_is_too_small_says_so():
    system, state = mixture(), random_state(2)
    plan = lists.make_plan(system, POTENTIAL, LISTED)
    longest = max(int(np.sum(row < 0.8 + SKIN)) for row in distances(state))
    for capacity, overflows in ((longest - 8, True), (longest + 8, False)):
        tight = lists.Plan(plan.blocks, (*plan.capacities[:-1], capacity), plan.skin)
        assert bool(build(system, tight, state).overflowed) is overflows


def test_a_list_is_used_where_it_pays():
    small, large = case("argon", 108), case("argon", 1000)
    plan = lambda it, how: lists.make_plan(it.system, it.potential, Settings(neighbours=how))
    assert plan(small, "auto").blocks == plan(large, "dense").blocks == ()
    assert len(plan(small, "list").blocks) == len(plan(large, "auto").blocks) == 1
