"""Columns of the topology: the short description of a column moves values as its indices would."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revmd_app.engine.topology import MOST_RUNS, Column, find_runs

runs = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6), st.integers(1, 3)), min_size=1, max_size=MOST_RUNS)
columns = st.one_of(
    runs.map(lambda rs: [start + step * k for start, count, step in rs for k in range(count)]),
    st.lists(st.integers(0, 30), min_size=1, max_size=40),
)


@settings(deadline=None, max_examples=60)
@given(columns)
def test_runs_and_indices_read_and_write_alike(column):
    index, n = np.array(column, np.int32), 40
    described = Column(jnp.asarray(index), find_runs(index))
    plain = Column(jnp.asarray(index), None)
    values = jnp.asarray(np.random.default_rng(0).normal(size=(3, n)))
    terms = values[:, : len(index)] if len(index) <= n else jnp.ones((3, len(index)))
    np.testing.assert_array_equal(described.take(values), values[:, index])
    np.testing.assert_allclose(described.put(terms, n), plain.put(terms, n), atol=1e-12)
    np.testing.assert_allclose(jnp.sum(described.put(terms, n)), jnp.sum(terms), atol=1e-10)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([0, 1, 2, 0, 1, 2], ((0, 3, 1), (0, 3, 1))),
        ([5, 7, 9, 11], ((5, 4, 2),)),
        ([], None),
        (list(np.random.default_rng(1).permutation(50)), None),
    ],
)
def test_a_pattern_is_found_where_there_is_one(column, expected):
    assert find_runs(np.array(column, dtype=int)) == expected
