"""The package as a whole: layers point one way, nothing is fetched or evaluated, and a wheel holds what it needs."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import revmd_app

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "revmd_app"
SOURCES = sorted(PACKAGE.rglob("*.py"))
LAYERS = ("engine", "potentials", "systems", "observables", "gradients", "training", "sweeps")
INTERFACE = ("panel", "bokeh", "holoviews", "nglview", "ipywidgets", "param", "tornado", "matplotlib")
CDN = re.compile(
    r"unpkg\.com|jsdelivr\.net|cdnjs\.|googleapis\.com|gstatic\.com|esm\.sh|skypack\.|cdn\.(bokeh|holoviz|pydata)\.org"
)

IMPORT_EVERY_MODULE = """
import importlib, pkgutil, sys
package = importlib.import_module("revmd_app." + sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
print("imported " + " ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def run_python(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.mark.parametrize("layer", LAYERS)
def test_computing_layers_import_no_user_interface(layer):
    result = run_python("-c", IMPORT_EVERY_MODULE, layer)
    assert result.returncode == 0, result.stderr
    imported = set(result.stdout.splitlines()[-1].split()[1:])
    assert "revmd_app" in imported
    assert imported.isdisjoint(INTERFACE)


def test_no_layer_imports_the_labs():
    """Labs call the layers below; nothing below calls a lab."""
    above = {"labs", "app", "cli"}
    for source in SOURCES:
        if source.relative_to(PACKAGE).parts[0] in LAYERS:
            assert above.isdisjoint(_imported_from_revmd(source)), source


def _imported_from_revmd(source: Path) -> set[str]:
    """Second parts of `revmd_app.x` in the imports of a file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "revmd_app":
            names |= {f"revmd_app.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.split(".")[1] for name in names if name.startswith("revmd_app.")}


def test_nothing_is_loaded_from_a_content_network():
    """A classroom behind a firewall works. (Docstrings and comments may name what is avoided.)"""
    for path in PACKAGE.rglob("*"):
        if path.suffix in {".js", ".ts", ".css", ".html", ".json", ".svg"}:
            assert not CDN.search(path.read_text(encoding="utf-8")), path
        elif path.suffix == ".py":
            assert not CDN.search("\n".join(_strings(path))), path


def _strings(source: Path) -> list[str]:
    """Every string of a Python file that is not a docstring."""
    nodes = list(ast.walk(ast.parse(source.read_text(encoding="utf-8"))))
    alone = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in alone]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_code_is_evaluated_or_unpickled(source):
    """Formulas, share links and restart files come from other people."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            assert getattr(node.func, "id", None) not in {"eval", "exec", "compile", "__import__"}, node.lineno
            assert not any(keyword.arg == "allow_pickle" and _is_true(keyword.value) for keyword in node.keywords)
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            assert modules.isdisjoint({"pickle", "dill", "cloudpickle", "shelve", "marshal"}), node.lineno


def _is_true(node: ast.expr) -> bool:
    return not (isinstance(node, ast.Constant) and node.value is False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    result = run_python("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    assert result.returncode == 0, result.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_wheel_holds_every_module_and_data_file(wheel):
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert any(name.startswith("revmd_app/data/") and not name.endswith(".py") for name in wanted)
    assert wanted <= set(wheel.namelist())


def test_version_is_the_same_everywhere(wheel):
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    assert f"\nVersion: {revmd_app.__version__}\n" in wheel.read(metadata).decode()
    assert f"\nversion: {revmd_app.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def pins():
    lines = (line.partition("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines if line)}


def test_every_dependency_is_pinned_within_its_bounds(project, pins):
    wanted = project["dependencies"] + [r for extra in project["optional-dependencies"].values() for r in extra]
    for requirement in map(Requirement, wanted):
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier, requirement
    assert pins["jax"] == pins["jaxlib"] != "0.10.2"


def test_pins_can_be_installed_on_the_oldest_python(project, pins):
    """A pin may ask for a later bug-fix release of Python than the oldest one we promise (Debian 12 has 3.11.2)."""
    oldest = project["requires-python"].removeprefix(">=") + ".0"
    for package in importlib.metadata.distributions():
        if pins.get(canonicalize_name(package.name)) == package.version:
            assert oldest in SpecifierSet(package.metadata.get("Requires-Python") or ""), package.name


def test_every_import_is_a_declared_dependency(project):
    """What the package imports is asked for by name in pyproject.toml, not had by luck through something else."""
    names = lambda texts: {Requirement(text).name.lower().replace("-", "_") for text in texts}
    declared, extras = names(project["dependencies"]), project["optional-dependencies"]
    own = {"bench": names(extras["bench"]), "sweeps": names(extras["train"]), "training": names(extras["train"])}
    for source in SOURCES:
        foreign = _top_level_imports(source) - set(sys.stdlib_module_names) - {"revmd_app"}
        assert foreign <= declared | own.get(source.relative_to(PACKAGE).parts[0], set()), source


def _top_level_imports(source: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(source.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    of = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    return {name.partition(".")[0] for name in plain | of}
