"""Formulas that a person types, read by a small evaluator that knows arithmetic and nothing else.

The text is parsed into Python's syntax tree, every node is checked against a short list of what is allowed, and the
result is kept as our own tree of numbers, names and operations. Nothing of the text is ever executed.
"""

from __future__ import annotations

import ast
import functools
import math
import warnings
from collections.abc import Callable, Mapping
from typing import NamedTuple, NoReturn

import jax
import jax.numpy as jnp
from jaxtyping import Array

from revmd_app import units

MAX_LENGTH = 400
MAX_DEPTH = 40
MAX_EXPONENT = 40.0
MAX_NUMBER = 1e30
MAX_PARAMETERS = 24
MAX_NAME = 24

CONSTANTS = {"pi": math.pi, "k_e": units.COULOMB}
"""Names with a fixed value: pi, and Coulomb's constant in kJ nm/mol/e²."""

FUNCTIONS: dict[str, tuple[Callable, Callable]] = {
    "exp": (jnp.exp, math.exp),
    "log": (jnp.log, math.log),
    "sqrt": (jnp.sqrt, math.sqrt),
    "sin": (jnp.sin, math.sin),
    "cos": (jnp.cos, math.cos),
    "tanh": (jnp.tanh, math.tanh),
    "abs": (jnp.abs, abs),
    "erf": (jax.scipy.special.erf, math.erf),
    "erfc": (jax.scipy.special.erfc, math.erfc),
    "min": (jnp.minimum, min),
    "max": (jnp.maximum, max),
}
"""Each function for arrays and for plain numbers; min and max take two arguments or more, the others one."""

_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_REFUSED: dict[type, str] = {
    **{ast.FloorDiv: "//", ast.Mod: "%", ast.MatMult: "@", ast.BitAnd: "&", ast.BitOr: "|"},
    **{ast.LShift: "<<", ast.RShift: ">>", ast.Invert: "~", ast.Not: "not"},
}
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "neg": 3, "**": 4}


class Node(NamedTuple):
    """A number, a name, or an operation ("+", "neg", "exp", ...) on other nodes."""

    kind: str
    value: float | str | None = None
    children: tuple[Node, ...] = ()


class Reader:
    """Turns a syntax tree into nodes, or says in one sentence, with the position, what is not allowed.

    For an energy in r; other kinds of formula override what they read differently.
    """

    def __init__(self, text: str):
        self.text = text
        self.lead = len(text) - len(text.lstrip())
        self.code = text.strip().replace("^", "**")

    def fail(self, problem: str, node: ast.AST | None = None) -> NoReturn:
        where = ""
        if node is not None and hasattr(node, "col_offset"):
            characters = len(self.code.encode()[: node.col_offset].decode(errors="ignore"))
            where = f" (at position {self.position(characters)})"
        raise ValueError(f"the formula cannot be used: {problem}{where}.")

    def position(self, characters: int) -> int:
        """The place in the typed text, counted from 1, that `characters` of the parsed code lead to."""
        typed, code = self.lead, 0
        while code < characters and typed < len(self.text):
            code += 2 if self.text[typed] == "^" else 1
            typed += 1
        return min(typed + 1, len(self.text))

    def read(self) -> Node:
        if not self.text.strip():
            self.fail("it is empty; write an energy such as 4*epsilon*((sigma/r)^12 - (sigma/r)^6)")
        self.check_text()
        node = self.visit(self.tree(), 0)
        if "r" not in names_of(node):
            self.fail("it does not contain the distance r")
        return node

    def check_text(self):
        if len(self.text) > MAX_LENGTH:
            self.fail(f"it has {len(self.text)} characters; {MAX_LENGTH} are allowed")
        if "\n" in self.text.strip() or "#" in self.text:
            self.fail("write it on one line, without comments")
        self.check_brackets()

    def check_brackets(self):
        depth = 0
        for i, character in enumerate(self.text, start=1):
            depth += (character in "([{") - (character in ")]}")
            if depth < 0:
                self.fail(f"the bracket at position {i} closes nothing")
            if depth > MAX_DEPTH:
                self.fail(f"brackets are nested more than {MAX_DEPTH} deep at position {i}")
        if depth > 0:
            self.fail(f"{depth} bracket{'s are' if depth > 1 else ' is'} not closed")

    def tree(self) -> ast.expr:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "'float' object is not callable": said better below
                return ast.parse(self.code, mode="eval").body
        except SyntaxError as error:
            column = max((error.offset or 1) - 1, 0)
            problem = f"something is missing or misplaced near position {self.position(column)}"
        except (ValueError, MemoryError, RecursionError):
            problem = "it is nested too deeply or contains characters that no formula has"
        self.fail(f"{problem}; write every multiplication as *, powers as ^ or **, and avoid Python's own words")

    def visit(self, node: ast.expr, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self.fail(f"it is nested more than {MAX_DEPTH} deep", node)
        if isinstance(node, ast.Constant):
            return self.number(node)
        if isinstance(node, ast.Name):
            return self.name(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
            inner = self.visit(node.operand, depth + 1)
            return inner if isinstance(node.op, ast.UAdd) else self.fold(Node("neg", None, (inner,)), node)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return self.binary(node, depth)
        if isinstance(node, ast.Call):
            return self.call(node, depth)
        self.fail(f"{_describe(node)} is not allowed; use numbers, names, + - * / ^ and {', '.join(FUNCTIONS)}", node)

    def number(self, node: ast.Constant) -> Node:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(f"{_describe(node)} is not a real number", node)
        if not abs(value) <= MAX_NUMBER:
            self.fail(f"numbers beyond {MAX_NUMBER:g} are not allowed", node)
        return Node("number", float(value))

    def name(self, node: ast.Name) -> Node:
        if node.id in CONSTANTS:
            return Node("number", CONSTANTS[node.id])
        if node.id in FUNCTIONS:
            self.fail(f"'{node.id}' is a function: write {node.id}(...)", node)
        if len(node.id) > MAX_NAME or node.id.startswith("_"):
            self.fail(f"names have at most {MAX_NAME} characters and begin with a letter", node)
        return Node("name", node.id)

    def call(self, node: ast.Call, depth: int) -> Node:
        if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
            what = f"'{node.func.id}'" if isinstance(node.func, ast.Name) else "what stands before a bracket"
            self.fail(f"{what} is not a function; there are {', '.join(FUNCTIONS)}, and a product needs a *", node)
        name = node.func.id
        several = name in ("min", "max")
        if node.keywords or (len(node.args) < 2 if several else len(node.args) != 1):
            self.fail(f"{name} takes {'two or more arguments' if several else 'one argument'}", node)
        return self.fold(Node(name, None, tuple(self.visit(a, depth + 1) for a in node.args)), node)

    def binary(self, node: ast.BinOp, depth: int) -> Node:
        left, right = self.visit(node.left, depth + 1), self.visit(node.right, depth + 1)
        operator = _OPERATORS[type(node.op)]
        if operator == "**" and right.kind == "number" and abs(_number(right)) > MAX_EXPONENT:
            self.fail(f"the exponent {_number(right):g} is too large; {MAX_EXPONENT:g} is allowed", node.right)
        return self.fold(Node(operator, None, (left, right)), node)

    def fold(self, node: Node, source: ast.expr) -> Node:
        """A number when every child is one: 9^9^9 or 1/0 are found here and not in the simulation."""
        if any(child.kind != "number" for child in node.children):
            return node
        try:
            value = _constant(node)
        except (ZeroDivisionError, OverflowError, ValueError):
            value = math.nan
        if isinstance(value, complex) or not abs(value) <= MAX_NUMBER:
            self.fail(f"a part of it has no value, or one beyond {MAX_NUMBER:g}", source)
        return Node("number", float(value))


def _describe(node: ast.AST) -> str:
    if isinstance(node, ast.BinOp | ast.UnaryOp):
        return f"the operator {_REFUSED.get(type(node.op), 'here')}"
    words: dict[type, str] = {
        ast.Attribute: "a dot after a name",
        ast.Subscript: "a subscript [...]",
        ast.Lambda: "lambda",
        ast.Compare: "a comparison",
        ast.BoolOp: "and/or",
        ast.IfExp: "if/else",
        ast.Constant: f"{getattr(node, 'value', None)!r:.30}",
        ast.JoinedStr: "a text",
        ast.Tuple: "a comma outside a function",
        ast.NamedExpr: "an assignment",
    }
    return words.get(type(node), f"this kind of expression ({type(node).__name__})")


def _number(node: Node) -> float:
    assert isinstance(node.value, float)
    return node.value


def _constant(node: Node) -> float | complex:
    values = [_number(child) for child in node.children]
    if node.kind in FUNCTIONS:
        function = FUNCTIONS[node.kind][1]
        return function(*values)
    return -values[0] if node.kind == "neg" else _arithmetic(node.kind, *values)


def _arithmetic(operator, a, b):
    if operator == "+":
        return a + b
    if operator == "-":
        return a - b
    if operator == "*":
        return a * b
    if operator == "/":
        return a / b
    return a**b


def names_of(node: Node) -> dict[str, None]:
    """The names in a tree in the order in which they are written."""
    found = {str(node.value): None} if node.kind == "name" else {}
    for child in node.children:
        found |= names_of(child)
    return found


def parse(text: str) -> Node:
    """The checked tree of a formula in r. Raises `ValueError` with one sentence and a position when it has no use."""
    if not isinstance(text, str):
        raise ValueError(f"a formula is a text, not {type(text).__name__}.")
    return _parse(text)


@functools.lru_cache(maxsize=256)
def _parse(text: str) -> Node:
    node = Reader(text).read()
    count = len(names_of(node)) - 1
    if count > MAX_PARAMETERS:
        raise ValueError(f"the formula has {count} parameters; {MAX_PARAMETERS} are allowed.")
    return node


def formula_parameters(text: str) -> tuple[str, ...]:
    """The parameters of a formula, in the order in which they are written. Raises `ValueError` as `parse` does."""
    return tuple(name for name in names_of(parse(text)) if name != "r")


def evaluate(node: Node, names: Mapping[str, Array]):
    """The value of a tree for arrays standing for its names; elementwise."""
    if node.kind == "number":
        return node.value
    if node.kind == "name":
        return names[str(node.value)]
    values = [evaluate(child, names) for child in node.children]
    if node.kind == "neg":
        return -values[0]
    if node.kind == "**":
        return _power(*values)
    if node.kind in FUNCTIONS:
        function = FUNCTIONS[node.kind][0]
        return functools.reduce(function, values) if len(values) > 1 else function(*values)
    return _arithmetic(node.kind, *values)


def _power(base, exponent):
    """Whole constant exponents by multiplication, which is exact for negative bases and quick."""
    if isinstance(exponent, float) and exponent.is_integer():
        return jax.lax.integer_pow(base, int(exponent))
    return jnp.power(base, exponent)


def to_latex(node: Node) -> str:
    """A tree as LaTeX."""
    if node.kind == "number":
        return _latex_number(_number(node))
    if node.kind == "name":
        return _latex_name(str(node.value))
    if node.kind == "/":
        return rf"\frac{{{to_latex(node.children[0])}}}{{{to_latex(node.children[1])}}}"
    if node.kind in FUNCTIONS:
        return _latex_function(node)
    return _latex_operation(node)


def _latex_operation(node: Node) -> str:
    level = _PRECEDENCE[node.kind]
    first = _bracketed(node.children[0], level + (node.kind == "**"))
    if node.kind == "neg":
        return f"-{first}"
    if node.kind == "**":
        return f"{first}^{{{to_latex(node.children[1])}}}"
    second = _bracketed(node.children[1], level + 1)
    return f"{first}{_latex_times(second) if node.kind == '*' else node.kind}{second}"


def _latex_times(second: str) -> str:
    return r"\cdot " if second[0].isdigit() else r"\,"


def _bracketed(node: Node, level: int) -> str:
    """The LaTeX of a part, in brackets when it binds less strongly than `level`."""
    negative = node.kind == "number" and _number(node) < 0
    own = 3 if negative else _PRECEDENCE.get(node.kind, 9)
    if node.kind == "/" and level <= 3:
        own = 9  # a fraction's bar is bracket enough, but not under a power
    text = to_latex(node)
    return rf"\left({text}\right)" if own < level else text


def _latex_function(node: Node) -> str:
    inside = ", ".join(to_latex(child) for child in node.children)
    if node.kind == "sqrt":
        return rf"\sqrt{{{inside}}}"
    if node.kind == "abs":
        return rf"\left|{inside}\right|"
    if node.kind == "exp":
        return rf"e^{{{inside}}}"
    name = rf"\operatorname{{{node.kind}}}" if node.kind.startswith("erf") else rf"\{node.kind}"
    return rf"{name}\left({inside}\right)"


def _latex_number(value: float) -> str:
    if value == math.pi:
        return r"\pi"
    if value == units.COULOMB:
        return "k_e"
    mantissa, _, exponent = f"{value:.10g}".partition("e")
    return rf"{mantissa}\cdot 10^{{{int(exponent)}}}" if exponent else mantissa


_GREEK = frozenset(
    {"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda"}
    | {"mu", "nu", "xi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega"}
)


def _latex_name(name: str) -> str:
    head, _, tail = name.rstrip("_").partition("_")
    head = {"epsilon": r"\varepsilon"}.get(head, rf"\{head}" if head in _GREEK else _upright(head))
    return rf"{head}_{{{_upright(tail.replace('_', ','))}}}" if tail else head


def _upright(word: str) -> str:
    return word if len(word) < 2 else rf"\mathrm{{{word}}}"
