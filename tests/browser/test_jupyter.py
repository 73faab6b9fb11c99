"""The app and its labs inside Jupyter, in an environment that is built from binder/ and from nothing else.

The server is started as mybinder.org starts it: below a base URL, with a token, its browser elsewhere.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import psutil
import pytest
from browser.watching import DATA, changes, picture, wait_until

from revmd_app.app import LABS

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
PREFIX, TOKEN = "/user/x/", "a-token"
MOST_MEMORY = 1.0e9
"""Bytes: what Binder promises at least."""
CELLS_DONE = """() => { const book = jupyterapp.shell.currentWidget;
  return book?.sessionContext?.session?.kernel?.status === 'idle'
    && book.content.widgets.filter(c => c.model.type === 'code').every(c => c.model.executionCount) }"""
READY = """() => { const book = window.jupyterapp?.shell?.currentWidget;
  return book?.context?.isReady && book.sessionContext.session?.kernel?.status === 'idle' }"""


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """A copy of what is in the repository: what mybinder.org clones."""
    copy = tmp_path_factory.mktemp("binder") / "repository"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="session")
def programs(repository, tmp_path_factory):
    """The `bin` folder of an environment made from binder/: first requirements.txt, then postBuild."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    programs = environment / "bin"
    install = [programs / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-input"]
    subprocess.run([*install, "-r", "binder/requirements.txt"], cwd=repository, check=True)
    subprocess.run([repository / "binder" / "postBuild"], cwd=repository, env=_with_path(programs), check=True)
    yield programs
    shutil.rmtree(environment)  # 1.3 GB


def _with_path(programs) -> dict[str, str]:
    return {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(programs.parent)}


@pytest.fixture(scope="session")
def jupyter(programs, repository, tmp_path_factory):
    """(process, address) of a running Jupyter server; the address ends in its base URL."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    folder = tmp_path_factory.mktemp("jupyter")
    log, own = folder / "log.txt", {"JUPYTER_CONFIG_DIR": str(folder), "IPYTHONDIR": str(folder)}  # nobody's workspace
    command = [programs / "jupyter-lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += [f"--ServerApp.base_url={PREFIX}", f"--IdentityProvider.token={TOKEN}"]
    command += ["--LabApp.expose_app_in_browser=True"]  # for the tests' hands only
    with log.open("w") as out:
        server = subprocess.Popen(command, cwd=repository, env={**_with_path(programs), **own}, stdout=out, stderr=out)
    address = f"http://localhost:{port}{PREFIX}"
    try:
        _wait_for(server, f"{address}api", log)
        yield server, address
    finally:
        _end(server)


def _wait_for(server, address, log):
    for _ in range(300):
        assert server.poll() is None, log.read_text()
        with contextlib.suppress(urllib.error.URLError, TimeoutError):
            urllib.request.urlopen(address, timeout=20)
            return
        time.sleep(0.3)
    raise AssertionError(f"no answer from {address}:\n{log.read_text()}")


def _end(server):
    """End a server and whatever it started."""
    started = [server, *psutil.Process(server.pid).children(recursive=True)]
    server.terminate()
    _, alive = psutil.wait_procs(started[1:], timeout=20)
    for process in alive:
        process.kill()
    server.wait(20)


def resident(server) -> float:
    """Bytes that a process and its descendants hold, what they share counted once."""
    family = psutil.Process(server.pid)
    return sum(process.memory_full_info().pss for process in [family, *family.children(recursive=True)])


def test_the_environment_holds_nothing_for_tests_only(programs):
    listed = subprocess.run(
        [programs / "python", "-m", "pip", "list"], capture_output=True, text=True, check=True
    ).stdout
    installed = {line.split()[0].lower() for line in listed.splitlines()[2:]}
    assert {"revmd", "jax", "nglview", "jupyterlab", "jupyter-server-proxy"} <= {n.replace("_", "-") for n in installed}
    assert installed.isdisjoint({"openmm", "pytest", "playwright", "hypothesis", "mypy", "ruff", "ase"})
    assert not any(name.startswith(("nvidia", "jax-cuda")) for name in installed)


def moves(page):
    """Wait until atoms are drawn and move."""
    page.locator(".revmd-atoms canvas").first.wait_for()
    wait_until(page, lambda: (picture(page) < 235).sum() > 3000, "atoms drawn")
    wait_until(page, lambda: changes(page), "atoms moving")


def drawn(page):
    """Energies of the u(r) curve now drawn, or None."""
    return page.evaluate(DATA, "now u")


def deepen(page):
    """Move the slider of ε by its keys and wait for the deeper well in the plot."""
    wait_until(page, lambda: drawn(page), "a curve")
    depth = min(drawn(page))
    page.get_by_role("slider").nth(1).focus()
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    wait_until(page, lambda: min(drawn(page)) < 1.5 * depth, "a deeper well")


def test_the_app_lives_behind_the_proxy_within_binders_memory(offline_page, jupyter):
    server, address = jupyter
    page = offline_page
    page.goto(f"{address}revmd/?token={TOKEN}")
    moves(page)
    deepen(page)
    used = resident(server)
    print(f"\nresident with one session: {used / 1e6:.0f} MB")
    assert used < MOST_MEMORY
    link = page.get_by_text("Open JupyterLab")
    assert link.get_attribute("href") == "../lab"
    link.click()
    page.wait_for_url(f"{address}lab**")
    page.get_by_text("revmd laboratory").first.wait_for()  # the launcher's tile


def open_notebook(page, address, name):
    """Open a notebook in JupyterLab, run all its cells, and wait until they are done."""
    page.goto(f"{address}lab/tree/{name}?reset&token={TOKEN}")
    page.wait_for_function(READY)
    page.evaluate("() => { jupyterapp.commands.execute('notebook:run-all-cells') }")
    page.wait_for_function(CELLS_DONE, timeout=300_000)


def complaints(page):
    """What the cells have written to standard error, exceptions included."""
    return page.locator(".jp-OutputArea [data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts()


def close_notebook(page):
    """End the notebook's kernel, and with it its labs."""
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")


def test_a_notebook_runs_in_jupyterlab_and_its_lab_is_alive(offline_page, jupyter):
    page = offline_page
    open_notebook(page, jupyter[1], "notebooks/01_tune.ipynb")
    assert complaints(page) == []
    page.locator(".revmd-atoms").first.scroll_into_view_if_needed()
    moves(page)
    deepen(page)
    close_notebook(page)


def test_every_lab_lives_in_a_cell(offline_page, jupyter, repository):
    book = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    cells = ["from revmd_app import notebook; notebook.start()", *(f"notebook.lab('{entry.name}')" for entry in LABS)]
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(book, repository / "labs.ipynb")
    page = offline_page
    open_notebook(page, jupyter[1], "labs.ipynb")
    assert complaints(page) == []
    with_atoms = [entry.name for entry in LABS if entry.name not in ("gradients", "learn")]
    wait_until(page, lambda: page.locator(".revmd-atoms canvas").count() == len(with_atoms), "a canvas for each lab")
    page.get_by_role("button", name="Compare estimators").scroll_into_view_if_needed()
    page.get_by_role("button", name="Compare estimators").wait_for()
    close_notebook(page)
