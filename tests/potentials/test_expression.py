"""The typed formula: it computes what it says, refuses what it must in one sentence, and nothing of it is executed."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from potentials.reference import argon_box, evaluate, pair_force, relative

from revmd_app import units
from revmd_app.potentials import Expression, LennardJones, check_radial, formula_parameters
from revmd_app.potentials.formula import parse

LJ = "4*epsilon*((sigma/r)**12-(sigma/r)**6)"


@pytest.mark.parametrize("text", [LJ, LJ.replace("**", "^"), "epsilon*4*(sigma^12*r^-12 - (sigma/r)^6)"])
def test_typed_lennard_jones_is_lennard_jones(text):
    box = argon_box(2)
    typed, built_in = Expression(text, cutoff=0.56), LennardJones(cutoff=0.56)
    assert float(typed.energy(box)) == pytest.approx(float(built_in.energy(box)), rel=1e-12)
    assert relative(typed.forces(box), built_in.forces(box)) < 1e-11
    gradient, expected = (jax.grad(lambda p: p.energy(box))(p) for p in (typed, built_in))
    assert float(gradient.values["sigma"]) == pytest.approx(float(expected.sigma), rel=1e-11)
    assert float(gradient.values["epsilon"]) == pytest.approx(float(expected.epsilon), rel=1e-11)


def test_openmm_reads_the_same_formula():
    """One text, two readers: every function and operator that both know, force-shifted, on a box of argon."""
    text = "A*exp(-b*r) - C/r^6 + 0.1*erfc(r)/r + sqrt(r)*tanh(r)*sin(2*r)"
    text += " + min(r, 0.4)^2*abs(cos(r)) - max(r, 0.5)*log(r) + erf(r)"
    box = argon_box(2)
    values = {"A": 7.4e5, "b": 36.0, "C": 5.4e-3}
    typed = Expression(text, values, cutoff=0.56)
    force = pair_force(text, values, box.system.n_atoms, cutoff=0.56, truncation="shifted")
    energy, forces = evaluate([force], np.asarray(box.positions), np.asarray(box.box))
    assert float(typed.energy(box)) == pytest.approx(energy, rel=1e-6)
    assert relative(typed.forces(box), forces) < 1e-6


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-r^2", -0.25),
        ("2^-r", 2**-0.5),
        ("2^3^r", 2 ** (3**0.5)),
        ("(-r)^3", -0.125),
        ("r^0.5", 0.5**0.5),
        ("1 - 2 - r", -1.5),
        ("1/2/r", 1.0),
        ("+r - -r", 1.0),
        ("pi*r", np.pi / 2),
        ("k_e/r", 2 * units.COULOMB),
        ("min(r, 1, 0.2)", 0.2),
        ("  r + 1e-2 ", 0.51),
    ],
)
def test_precedence_and_constants(text, expected):
    assert float(Expression(text).pair_energy(jnp.asarray(0.5))) == pytest.approx(expected, rel=1e-12)


def test_every_other_name_is_a_parameter():
    text = "D*((1-exp(-a*(r-r_0)))^2 - 1) + k_e*q^2/r + pi*lambda_"
    assert formula_parameters(text) == ("D", "a", "r_0", "q", "lambda_")
    typed = Expression(text, {"D": 2.0})
    assert {name: float(value) for name, value in typed.values.items()} == {
        "D": 2.0,
        "a": 1.0,
        "r_0": 1.0,
        "q": 1.0,
        "lambda_": 1.0,
    }
    assert list(typed.parameters) == list(formula_parameters(text))
    assert typed.parameters["D"].bounds == (0.2, 20.0)
    assert all(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(typed))
    moved = typed.with_values(a=3.0)
    assert float(moved.values["a"]) == 3.0
    assert jax.tree.structure(moved) == jax.tree.structure(typed)


def test_bounds_are_guessed_around_the_value():
    typed = Expression("sigma*r + a*r + b*r + c*r", {"a": -3.0, "b": 0.0, "c": 0.002})
    assert typed.parameters["sigma"].bounds == (0.255, 0.425)
    assert typed.parameters["sigma"].unit == "nm"
    assert typed.parameters["a"].bounds == pytest.approx((-30, -0.3))
    assert not typed.parameters["a"].log
    assert typed.parameters["b"].bounds == (-1.0, 1.0)
    assert typed.parameters["c"].log


def test_unknown_values_are_refused():
    with pytest.raises(ValueError, match=r"no parameter 'sigm'; it has epsilon, sigma\."):
        Expression(LJ, {"sigm": 0.3})
    with pytest.raises(ValueError, match="no parameter 'q'"):
        Expression(LJ).with_values(q=1.0)


HOSTILE = [
    ("", "it is empty"),
    ("   ", "it is empty"),
    ("9**9**9*r", r"exponent 3.8742e\+08 is too large; 40 is allowed \(at position 4\)"),
    ("r^(2*30)", r"exponent 60 is too large; 40 is allowed \(at position 4\)"),
    ("r.__class__", r"a dot after a name is not allowed.*\(at position 1\)"),
    ("r + sigma.real", r"a dot after a name is not allowed.*\(at position 5\)"),
    ("__import__('os').system('ls')", "is not a function"),
    ("eval(r)", r"'eval' is not a function; there are exp"),
    ("r^2 + open(r)", r"'open' is not a function.*\(at position 7\)"),
    ("(lambda: r)()", "is not a function"),
    ("2(r)", "a product needs a"),
    ("4epsilon*r", "write every multiplication as"),
    ("exp + r", r"'exp' is a function: write exp\(...\)"),
    ("exp(r, r)", "exp takes one argument"),
    ("min(r)", "min takes two or more arguments"),
    ("exp(x=r)", "exp takes one argument"),
    ("exp(*r)", "is not allowed"),
    ("r[0]", "a subscript"),
    ("[r for r in r]", "is not allowed"),
    ("r if r else 1", "if/else is not allowed"),
    ("r < 1", "a comparison is not allowed"),
    ("r and 1", "and/or is not allowed"),
    ("not r", "the operator not is not allowed"),
    ("r // 2", "the operator // is not allowed"),
    ("r % 2", "the operator % is not allowed"),
    ("r @ r", "the operator @ is not allowed"),
    ("r, r", "a comma outside a function"),
    ("(r := 3)", "an assignment is not allowed"),
    ("'a'*r", "is not a real number"),
    ("f'{r}'", "a text is not allowed"),
    ("1j*r", "is not a real number"),
    ("True*r", "is not a real number"),
    ("...", "is not a real number"),
    ("1e400*r", r"numbers beyond 1e\+30 are not allowed"),
    ("9" * 350 + "*r", r"numbers beyond 1e\+30 are not allowed"),
    ("r/0 + 1/0", r"has no value, or one beyond 1e\+30 \(at position 7\)"),
    ("log(-1)*r", "has no value"),
    ("(-8)^(1/3)*r", "has no value"),
    ("exp(1000)*r", "has no value"),
    ("10^30*10^30*r", "has no value"),
    ("5", "does not contain the distance r"),
    ("sigma*2", "does not contain the distance r"),
    ("(" * 60 + "r" + ")" * 60, "nested more than 40 deep at position 41"),
    ("-" * 300 + "r", "nested more than 40 deep"),
    ("r" + "^r" * 100, "nested more than 40 deep"),
    ("r+" * 300 + "r", "601 characters; 400 are allowed"),
    ("(r", "1 bracket is not closed"),
    ("((r", "2 brackets are not closed"),
    ("r)", "bracket at position 2 closes nothing"),
    ("r +", "missing or misplaced near position"),
    ("r;r", "missing or misplaced near position 2"),
    ("r^2 + r^^2", "missing or misplaced near position 9"),
    ("lambda*r", "Python's own words"),
    ("r\nimport os", "one line, without comments"),
    ("r # energy", "one line, without comments"),
    ("r\x00", "missing or misplaced|nested too deeply or contains characters"),
    ("_private*r", "begin with a letter"),
    ("x" * 60 + "*r", "at most 24 characters"),
    ("+".join(f"p{i}" for i in range(30)) + "+r", "30 parameters; 24 are allowed"),
]


@pytest.mark.parametrize(("text", "sentence"), HOSTILE)
def test_hostile_formulas_are_refused_in_a_sentence(text, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        Expression(text)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 250


@given(st.text(alphabet="r0123456789.+-*/^(), epsigmaxlq_[]{}:=\"'@&|~<>!%\\;#\té", max_size=60))
def test_any_text_is_a_formula_or_a_value_error(text):
    try:
        parse(text)
    except ValueError:
        return
    assert Expression(text).pair_energy(jnp.linspace(0.1, 0.8, 4)).shape == (4,)


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        (LJ, r"4\,\varepsilon\,\left(\left(\frac{\sigma}{r}\right)^{12}-\left(\frac{\sigma}{r}\right)^{6}\right)"),
        ("A*exp(-b*r)-C/r^6", r"A\,e^{-b\,r}-\frac{C}{r^{6}}"),
        ("k_e*q^2*erfc(alpha*r)/r", r"\frac{k_e\,q^{2}\,\operatorname{erfc}\left(\alpha\,r\right)}{r}"),
        ("r-(1-r)", r"r-\left(1-r\right)"),
        ("(-2)^r", r"\left(-2\right)^{r}"),
        ("r*2", r"r\cdot 2"),
        ("1e-3*r_cut", None),
    ],
)
def test_latex(text, latex):
    if latex is None:
        assert Expression(text + "*r").latex == r"0.001\,r_{\mathrm{cut}}\,r"
    else:
        assert Expression(text).latex == latex
        assert Expression(text).formula == latex


UNUSABLE = [
    ("log(r - 0.3)", "not a finite number from r = 0.085 to 0.3 nm"),
    ("(0.1/r)^39", None),
    ("1e-36*(r*1e-3)^-12", "not a finite number in single precision"),
    ("-C/r^6", "attracts at every distance"),
    ("1e-3/r^2 - exp(-(r/0.2)^2)*50", "collapse"),
    ("A*exp(-b*r) - C/r^6", "collapse"),
    (LJ, None),
    ("k_e*q^2/r", None),
]


@pytest.mark.parametrize(("text", "sentence"), UNUSABLE)
def test_check_radial_says_what_is_wrong(text, sentence):
    verdict = check_radial(Expression(text))
    if sentence is None:
        assert verdict is None
    else:
        assert sentence in verdict
        assert verdict.endswith(".")


def test_check_radial_wants_a_grid():
    with pytest.raises(ValueError, match="three increasing positive distances"):
        check_radial(Expression(LJ), [0.3, 0.2, 0.1])


def test_formula_is_part_of_the_program_and_values_are_not():
    typed = Expression(LJ)
    dynamic, static = eqx.partition(typed, eqx.is_array)
    assert len(jax.tree.leaves(dynamic)) == 2
    assert eqx.combine(dynamic, static).text == LJ
