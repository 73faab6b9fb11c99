"""Equilibrated states: those that ship are liquids at the right state point, and the cache survives damage."""

import json
import shutil

import numpy as np
import pytest

from revmd_app.observables import momentum, temperature
from revmd_app.systems import CASES, argon_rdf, build, prepared, store
from revmd_app.systems.prepare import PROTOCOLS, Protocol, equilibrate, main

SHIPPED = [(name, n) for name, entry in CASES.items() for n in entry.shipped]


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty cache, and nothing shipped."""
    monkeypatch.setattr(store, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(store, "shipped_folder", lambda: tmp_path / "shipped")
    return tmp_path / "cache"


@pytest.fixture
def quick(monkeypatch):
    """A protocol of a few steps: what is tested is where states go, not how liquid they are."""
    monkeypatch.setitem(PROTOCOLS, "argon", Protocol(5.0, 5, 2.0, 5, 50.0))


@pytest.mark.parametrize(("name", "n"), SHIPPED)
def test_shipped_states_are_liquids(name, n):
    case = prepared(name, n, precision="float64")
    assert case.equilibrated
    assert (store.shipped_folder() / store.file_name(case.recipe)).is_file()
    snapshot = case.snapshot()
    spread = np.sqrt(2 / (3 * case.system.n_atoms))
    assert abs(float(temperature(snapshot)) / float(case.settings.temperature) - 1) < 5 * spread
    scale = float(np.sum(np.asarray(case.system.masses) * np.abs(snapshot.velocity)))
    assert np.abs(momentum(snapshot)).max() < 1e-9 * scale
    assert crystalline_order(case) < 4 / np.sqrt(case.system.counts[0])


def crystalline_order(case):
    """Largest |sum exp(i k x)| / N over four reciprocal vectors of the start: 1 in its crystal, sqrt(S/N) in a
    liquid."""
    atoms = case.system.atoms(case.system.species[0])
    x = np.asarray(case.snapshot().unwrapped)[:, atoms]
    n, edge = x.shape[1], float(case.system.box[0])
    cells = next(k for k in range(1, 12) if 4 * k**3 >= n)
    vectors = np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]]) * 2 * np.pi * cells / edge
    return np.abs(np.exp(1j * vectors @ x).mean(axis=1)).max()


def test_the_order_parameter_sees_a_crystal():
    assert crystalline_order(build("argon", 108)) > 0.99


def test_shipped_files_are_small_and_recorded():
    folder = store.shipped_folder()
    files = list(folder.glob("*.npz"))
    assert sum(f.stat().st_size for f in files) < 300_000
    record = json.loads((folder / "prepared.json").read_text())
    assert set(record["states"]) == {f.name for f in files}
    assert all({"recipe", "seconds", "method"} <= set(state) for state in record["states"].values())
    assert {"revmd", "jax", "python"} <= set(record["versions"])


def test_built_once_then_cached(own_cache, quick, monkeypatch):
    first = prepared("argon", 108, seed=7)
    files = list(own_cache.iterdir())
    assert [f.name for f in files] == [store.file_name(first.recipe)]
    monkeypatch.setattr("revmd_app.systems.prepare.equilibrate", lambda case: pytest.fail("it was built again"))
    again = prepared("argon", 108, seed=7)
    np.testing.assert_array_equal(first.state.position, again.state.position)
    np.testing.assert_array_equal(first.state.velocity, again.state.velocity)


def test_other_options_are_other_states(own_cache, quick):
    recipes = [
        build("argon", 108, **options).recipe for options in ({}, {"seed": 1}, {"density": 1.3}, {"temperature": 90})
    ]
    assert len({store.file_name(recipe) for recipe in recipes}) == 4


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "other"])
def test_a_damaged_cache_file_is_told_of_and_built_again(own_cache, quick, damage):
    case = prepared("argon", 108)
    path = own_cache / store.file_name(case.recipe)
    content = path.read_bytes()
    if damage == "other":
        other = prepared("argon", 108, seed=1)
        shutil.copy(own_cache / store.file_name(other.recipe), path)
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]
        path.write_bytes({"empty": b"", "cut": content[:middle], "flipped": flipped}[damage])
    with pytest.warns(RuntimeWarning, match="it is built again"):
        again = prepared("argon", 108)
    np.testing.assert_array_equal(case.state.position, again.state.position)
    np.testing.assert_array_equal(store.read(path, case).velocity, case.state.velocity)
    assert not list(own_cache.glob("*.partial"))


def test_a_cache_that_cannot_be_written_to_is_told_of(own_cache, quick):
    own_cache.write_text("a file where the folder should be")
    with pytest.warns(RuntimeWarning, match="could not be cached"):
        assert prepared("argon", 108).equilibrated


def test_landscapes_need_no_preparation(own_cache):
    assert prepared("double_well", 3).equilibrated
    assert not own_cache.exists()
    with pytest.raises(ValueError, match="no way to be equilibrated"):
        equilibrate(build("double_well", 3))


def test_the_command(tmp_path, quick, capsys):
    assert main(["argon", "108", "--seed", "2", "--to", str(tmp_path)]) == 0
    assert "written to" in capsys.readouterr().out
    case = build("argon", 108, seed=2)
    store.read(tmp_path / store.file_name(case.recipe), case)
    with pytest.raises(ValueError, match="say how large"):
        main(["argon"])
    with pytest.raises(ValueError, match="must be a whole number"):
        main(["argon", "7"])


def test_the_command_for_the_reference(tmp_path, quick, monkeypatch):
    """A short run of the small system: the table has the shape that is read, and the record says what was run."""
    for name, value in {"N_ATOMS": 108, "CUTOFF": 0.8, "N_FRAMES": 12, "STEPS_PER_FRAME": 2, "R_MAX": 0.8}.items():
        monkeypatch.setattr(argon_rdf, name, value)
    assert main(["--reference", "--to", str(tmp_path)]) == 0
    lines = [line for line in (tmp_path / "argon_rahman_rdf.csv").read_text().splitlines() if not line.startswith("#")]
    table = np.array([line.split(",") for line in lines[1:]], dtype=float)
    assert lines[0] == "r,g,error"
    assert table.shape == (argon_rdf.N_BINS, 3)
    assert np.isfinite(table).all()
    record = json.loads((tmp_path / "argon_rahman_rdf.json").read_text())
    assert "108 atoms" in record["method"]
    assert {"command", "seconds", "versions"} <= set(record)
