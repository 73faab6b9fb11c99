"""Error bars of correlated series against the AR(1) process, whose autocorrelation time is (1 + a) / (1 - a)."""

import numpy as np
import pytest

from revmd_app.observables.statistics import autocorrelation, autocorrelation_time, block_errors, mean_with_error


def ar1(a, n, seed):
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=n) * np.sqrt(1 - a * a)
    x = np.empty(n)
    x[0] = rng.normal()
    for k in range(1, n):
        x[k] = a * x[k - 1] + noise[k]
    return x


@pytest.mark.parametrize("a", [0.0, 0.5, 0.9])
def test_autocorrelation_time(a):
    assert abs(autocorrelation_time(ar1(a, 40_000, 1)) / ((1 + a) / (1 - a)) - 1) < 0.12


def test_autocorrelation_function():
    rho = autocorrelation(ar1(0.8, 100_000, 2))
    np.testing.assert_allclose(rho[:8], 0.8 ** np.arange(8), atol=0.03)


def test_error_bars_cover_the_truth():
    """The true mean 0 lies within 2 standard errors in about 95 of 100 independent series."""
    pulls = []
    for seed in range(200):
        mean = mean_with_error(ar1(0.8, 1500, seed))
        pulls.append(mean.value / mean.standard_error)
    assert 0.85 < np.std(pulls) < 1.25
    assert np.mean(np.abs(pulls) < 2) > 0.9


def test_block_errors_level_off_at_the_true_error():
    x = ar1(0.8, 2**16, 3)
    lengths, errors, uncertainties = block_errors(x)
    true = np.sqrt(9 / len(x))  # tau = (1 + 0.8) / (1 - 0.8)
    k = list(lengths).index(128)
    assert abs(errors[k] - true) < 5 * uncertainties[k]
    assert errors[0] < 0.5 * true


def test_a_constant_has_no_error():
    assert mean_with_error(np.full(20, 3.0)).standard_error == 0.0


def test_alternating_samples_get_no_credit():
    assert autocorrelation_time(ar1(-0.9, 5000, 4)) == 1.0


def test_bad_input_is_one_sentence():
    with pytest.raises(ValueError, match="at least 10 samples"):
        mean_with_error([1.0, 2.0])
    with pytest.raises(ValueError, match="NaN"):
        mean_with_error([np.nan] * 20)
