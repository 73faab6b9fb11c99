"""Results as tables: on the terminal, and as a page in Markdown whose every number comes from the run."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from revmd_app.bench import text
from revmd_app.bench.contest import JAX_MD, OPENMM, OURS
from revmd_app.bench.goals import goals
from revmd_app.bench.records import App, Contest, Growth, Results, Row

FORWARD_NAMES = {
    (OURS, "forward shifted"): "revmd",
    (JAX_MD, "forward shifted"): "jax-md",
    (OPENMM, "forward shifted"): "OpenMM, custom force",
    (OURS, "forward built-in"): "revmd",
    (OPENMM, "forward built-in"): "OpenMM, its own force",
}
GRADIENT_NAMES = {
    (OURS, "gradient loss"): "forward only, with the loss",
    (OURS, "gradient reversible"): "revmd, reversible",
    (OURS, "gradient checkpointed"): "√n checkpoints, the same steps",
    (OURS, "gradient reverse_mode"): "jax.grad of the same steps",
    (JAX_MD, "gradient reverse_mode"): "jax.grad of jax-md's steps",
}
BUSY = 0.7
"""Load before the start from which on the machine was not idle."""
TRUNCATIONS = {"shifted": "force-shifted", "built-in": "switched"}


class Table(NamedTuple):
    """A heading, column names, rows of text, and remarks below."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    remarks: Sequence[str] = ()


def tables(results: Results) -> list[Table]:
    """Everything that was measured."""
    found = [Table("Goals", ("what", "goal", "measured", ""), _goals(results))] if goals(results) else []
    for contest in results.contests:
        found += [_forward(contest)]
        if contest.cores == 1:
            found += [_gradients(contest), _agreement(contest)]
    if results.growth:
        found.append(_growth(results.growth))
    if results.starts:
        rows = [(s.contender, f"{s.cold:.1f}", "–" if s.warm is None else f"{s.warm:.1f}") for s in results.starts]
        title = f"From the start of a process to the first step, {results.starts[0].system}"
        found.append(Table(title, ("engine", "nothing compiled yet, s", "compiled before, s"), rows))
    if results.app is not None:
        found += app_tables(results.app)
    if results.problems:
        found.append(Table("What could not be measured", (), [], results.problems))
    return [table for table in found if table.rows or table.remarks]


def _goals(results: Results) -> Sequence[Sequence[str]]:
    rows = []
    for goal in goals(results):
        value = f"{goal.value:.3g} {goal.unit}".strip() if goal.value is not None else "–"
        rows.append((goal.what, goal.asked, value, "met" if goal.met else "missed"))
    return rows


def _forward(contest: Contest) -> Table:
    cores = "one core" if contest.cores == 1 else f"{contest.cores} cores"
    columns = ("engine", "cutoff", "µs a step, CPU", "wall", "quartiles", "steps a CPU-second", "over revmd")
    rows, remarks = [], []
    for (contender, program), name in FORWARD_NAMES.items():
        row = contest.row(contender, program)
        if row is None:
            continue
        if row.wall is None or row.cpu is None or row.wall_range is None:
            remarks.append(_sentence(name, row))
            continue
        quartiles = f"{row.wall_range[0]:,.0f}–{row.wall_range[1]:,.0f}"
        truncation = TRUNCATIONS[program.split()[1]]
        times = (f"{row.cpu:,.0f}", f"{row.wall:,.0f}", quartiles, f"{1e6 / row.cpu:,.0f}", _number(row.ratio))
        rows.append((name, truncation, *times))
        if contender == JAX_MD:
            remarks.append(f"jax-md's fastest way here: {row.note}.")
    return Table(f"{contest.system}: forward, {cores}", columns, rows, remarks)


def _gradients(contest: Contest) -> Table:
    columns = ("value and gradient", "steps", "µs a step, CPU", "wall", "over forward", "memory", "compile, s")
    rows, remarks = [], []
    for (contender, program), name in GRADIENT_NAMES.items():
        row = contest.row(contender, program)
        if row is None:
            continue
        if row.wall is None or row.cpu is None:
            remarks.append(_sentence(name, row))
            continue
        numbers = (f"{row.steps}", f"{row.cpu:,.0f}", f"{row.wall:,.0f}", _number(row.ratio))
        rows.append((name, *numbers, size(row.bytes), _number(row.compile_seconds)))
    return Table(f"{contest.system}: gradient of the mean energy, one core", columns, rows, remarks)


def _sentence(name: str, row: Row) -> str:
    if row.status == "not installed":
        return row.why
    return f"{name}: {row.status or 'not measured'}. {row.why}".strip() if row.why else f"{name}: not measured."


def _agreement(contest: Contest) -> Table:
    columns = ("engine", "cutoff", "energy, kJ/mol", "energy differs by", "forces differ by", "")
    rows = [
        (
            a.contender,
            TRUNCATIONS[a.hamiltonian],
            f"{a.energy:.4f}",
            *(("–", "–") if a.contender == OURS else (f"{a.energy_error:.1e}", f"{a.force_error:.1e}")),
            "the reference" if a.contender == OURS else "agrees" if a.agrees else "differs",
        )
        for a in contest.agreement
    ]
    return Table(f"{contest.system}: the same physics", columns, rows)


def _growth(growth: list[Growth]) -> Table:
    names = {"reversible": "revmd, reversible", "checkpointed": "√n checkpoints", "reverse_mode": "jax.grad"}
    rows = [(names[g.method], f"{g.steps:,}", size(g.bytes)) for g in growth]
    return Table("Memory that a gradient reserves", ("method", "steps", "memory"), rows)


def app_tables(app: App) -> list[Table]:
    """The tables of the app."""
    remarks = [app.problem] if app.problem else []
    found = [
        Table(
            "The app: from the command to the page",
            ("what", "s"),
            [(what, f"{s:.1f}") for what, s in app.starts.items()],
            remarks,
        )
    ]
    rows = [
        (x.name, f"{x.median:.0f}", f"{min(x.milliseconds):.0f}–{max(x.milliseconds):.0f}", f"{len(x.milliseconds)}")
        for x in app.latencies
    ]
    found.append(Table("The app: latency", ("from a slider's move to", "median, ms", "range, ms", "moves"), rows))
    frames = [(f.system, f"{f.applied:.1f}", f"{f.painted:.1f}") for f in app.frames]
    found.append(Table("The app: frames a second", ("system", "applied", "painted"), frames))
    memory = [
        (m.after, f"{m.processes}", "–" if m.pss is None else f"{m.pss / 1e6:,.0f}", f"{m.rss / 1e6:,.0f}")
        for m in app.memory
    ]
    columns = ("when", "processes", "proportional (PSS), MB", "resident (RSS, summed), MB")
    found.append(Table("The app: memory of the server and its simulations", columns, memory))
    return found


def _number(x: float | None) -> str:
    if x is None:
        return "–"
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def size(n: int | None) -> str:
    """Bytes for a reader."""
    if n is None:
        return "–"
    return f"{n / 1e9:,.1f} GB" if n >= 1e9 else f"{n / 1e6:,.1f} MB"


# ---------------------------------------------------------------------------------------------------------- terminal


def show(results: Results) -> None:
    """Print the tables."""
    print(machine_line(results))
    for table in tables(results):
        print(f"\n{table.title}")
        if table.rows:
            _print_rows([table.columns, *table.rows])
        for remark in table.remarks:
            print(f"  {remark}")


def _print_rows(rows: list[Sequence[str]]) -> None:
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [_padded(cell, width, left=i == 0) for i, (cell, width) in enumerate(zip(row, widths, strict=True))]
        print("  " + "  ".join(cells).rstrip())


def _width(cell: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in cell if not unicodedata.combining(c))


def _padded(cell: str, width: int, left: bool) -> str:
    space = " " * (width - _width(cell))
    return cell + space if left else space + cell


def machine_line(results: Results) -> str:
    """The machine and the versions in a line."""
    m = results.machine
    memory = f", {m['memory_bytes'] / 2**30:.0f} GiB" if m["memory_bytes"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in m["versions"].items())
    load = "" if m["load_at_start"] is None else f"; load before the start {m['load_at_start']:.1f}"
    return (
        f"{m['processor']} ({m['architecture']}), {m['cores']} cores{memory}, {m['system']}, Python {m['python']}, "
        f"{versions}{load}; {results.date}"
    )


# ---------------------------------------------------------------------------------------------------------- Markdown


def page(results: Results, picture: str | None = None) -> str:
    """The whole page."""
    parts = [text.HEAD.format(command=results.command, machine=machine_line(results))]
    parts += [] if results.complete else [text.INTERRUPTED]
    busy = (results.machine["load_at_start"] or 0) > BUSY
    parts += [text.BUSY.format(limit=BUSY)] if busy else []
    parts += [f"![{text.PICTURE}]({picture})"] if picture else []
    for table in tables(results):
        parts.append(f"## {table.title}")
        if table.rows:
            parts.append(_markdown_rows(table))
        parts += [f"{remark}" for remark in table.remarks]
    parts += [text.METHOD, text.peers(results), text.CAVEATS]
    if results.app is not None:
        parts.append(text.APP)
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def _markdown_rows(table: Table) -> str:
    line = lambda cells: "| " + " | ".join(cells) + " |"
    rule = "|" + "|".join(["---"] + ["---:"] * (len(table.columns) - 1)) + "|"
    return "\n".join([line(table.columns), rule, *(line(row) for row in table.rows)])
