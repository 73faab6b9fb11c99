"""The command line: quick help, one clear sentence for what a user got wrong."""

from __future__ import annotations

import ast
import socket
import subprocess
import sys
import types
from pathlib import Path

import pytest

import revmd_app
from revmd_app import cli


@pytest.fixture
def served(monkeypatch):
    """Calls of `revmd_app.app.serve`, recorded instead of served."""
    calls = []
    app = types.ModuleType("revmd_app.app")
    app.serve = lambda **options: calls.append(options)
    monkeypatch.setitem(sys.modules, "revmd_app.app", app)
    return calls


@pytest.fixture
def taken_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        yield taken.getsockname()[1]


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_serve_takes_what_the_command_hands_on():
    """By reading, not importing: Panel stays out of the fast tests."""
    source = Path(revmd_app.__file__).with_name("app.py").read_text(encoding="utf-8")
    (serve,) = (n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef) and n.name == "serve")
    names = {argument.arg for argument in serve.args.args + serve.args.kwonlyargs}
    assert {"port", "address", "prefix", "show", "websocket_origin"} <= names


def test_help_loads_neither_jax_nor_panel():
    code = "import sys; from revmd_app.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print('heavy', sorted({'jax', 'numpy', 'panel', 'bokeh', 'equinox'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "heavy []" in result.stdout
    assert all(command in result.stdout for command in ("app", "prepare", "bench"))


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"revmd {revmd_app.__version__}\n"


def test_runs_as_a_module():
    command = [sys.executable, "-m", "revmd_app", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == f"revmd {revmd_app.__version__}\n"


def test_app_opens_a_browser_on_this_machine_by_default(served, free_port):
    assert cli.main(["app", "--port", str(free_port)]) == 0
    (call,) = served
    assert call == {"port": free_port, "address": "localhost", "prefix": "", "show": True, "websocket_origin": None}


def test_app_serves_where_it_is_told(served, free_port):
    where = ["--port", str(free_port), "--address", "127.0.0.1", "--prefix", "lab"]
    assert cli.main(["app", *where, "--origin", "a:1", "--origin", "b:2", "--no-browser"]) == 0
    (call,) = served
    assert (call["port"], call["address"], call["prefix"]) == (free_port, "127.0.0.1", "lab")
    assert call["websocket_origin"] == ["a:1", "b:2"]
    assert call["show"] is False


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost"])
def test_port_in_use_is_said_before_anything_is_served(served, taken_port, capsys, address):
    assert cli.main(["app", "--port", str(taken_port), "--address", address]) == cli.USAGE_ERROR
    assert f"port {taken_port} is in use on {address}" in capsys.readouterr().err
    assert served == []


def test_foreign_address(served, free_port, capsys):
    assert cli.main(["app", "--port", str(free_port), "--address", "192.0.2.1"]) == cli.USAGE_ERROR
    assert "'192.0.2.1' is no address of this machine" in capsys.readouterr().err
    assert served == []


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", ""])
def test_impossible_port(served, capsys, port):
    with pytest.raises(SystemExit) as end:
        cli.main(["app", f"--port={port}"])
    assert end.value.code == cli.USAGE_ERROR
    assert "a port is a whole number from 1 to 65535" in capsys.readouterr().err
    assert served == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [([], "required: command"), (["fly"], "invalid choice: 'fly'"), (["app", "--fast"], "does not know '--fast'")],
)
def test_unknown_words(served, capsys, arguments, sentence):
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == cli.USAGE_ERROR
    assert sentence in capsys.readouterr().err
    assert served == []


@pytest.mark.parametrize(
    ("command", "module"), [("prepare", "revmd_app.systems.prepare"), ("bench", "revmd_app.bench")]
)
def test_other_commands_hand_their_options_on(monkeypatch, command, module):
    seen = []
    target = types.ModuleType(module)
    target.main = seen.append
    monkeypatch.setitem(sys.modules, module, target)
    assert cli.main([command, "argon", "--atoms", "108", "--help"]) == 0
    assert seen == [["argon", "--atoms", "108", "--help"]]


def test_bad_input_further_down_is_one_sentence(monkeypatch, capsys):
    def refuse(arguments):
        raise ValueError("argon needs 108 to 4,000 atoms, not 5.")

    target = types.ModuleType("revmd_app.systems.prepare")
    target.main = refuse
    monkeypatch.setitem(sys.modules, target.__name__, target)
    assert cli.main(["prepare", "argon"]) == cli.USAGE_ERROR
    assert capsys.readouterr().err == "revmd: argon needs 108 to 4,000 atoms, not 5.\n"
