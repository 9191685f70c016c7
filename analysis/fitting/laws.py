"""The laws: how an error falls with compute, size and data. To add one, write its terms and add it to `LAWS`.

Every law is a sum of non-negative coefficients times shapes, `y = sum_k c_k phi_k(x; q)`: the coefficients are
linear, the exponents, break points and half-lives `q` are not. Fitting works on centred logs, `z = log x - mean(log
x)`, which removes the conditioning problem that otherwise takes thousands of starts; `Law.theta` turns the result
into natural units.

Shapes in this package: B lanes (starts, resamples, queries) x n points x m parameters.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError, nearest

Array = npt.NDArray[np.float64]
Columns = Mapping[str, Array]
Shape = tuple[Array, dict[str, Array]]
"""One term's phi, of shape (B, n), and its derivative with respect to each entry of q that it depends on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A non-negative coefficient of a law.

    `powers` names the exponent with which each column's unit enters the coefficient: A of A C^-b has {"C": "b"}. An
    amplitude (`amplitude`) is searched in log scale and never vanishes; a floor or a plateau may be zero.
    """

    name: str
    powers: Mapping[str, str]
    amplitude: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponent:
    """A non-linear parameter, its box and the values that starts are taken from.

    kind "exponent": as it is. "log": searched as a log. "location": a value of `column`; box and starts are given in
    fractions of the column's range of logs, 0 at the smallest value seen and 1 at the largest.
    """

    name: str
    low: float
    high: float
    starts: tuple[float, ...]
    kind: Literal["exponent", "log", "location"] = "exponent"
    column: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """A functional form as a value. `shapes(z, q)` gives one `Shape` per term.

    `same_unit` names, for a column, the column whose centre it shares because the law compares the two.
    """

    name: str
    formula: str
    columns: tuple[str, ...]
    terms: tuple[Term, ...]
    exponents: tuple[Exponent, ...]
    shapes: Callable[[Columns, Columns], tuple[Shape, ...]]
    same_unit: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Parameter names in the order of the parameter vector: coefficients, then exponents."""
        return tuple(term.name for term in self.terms) + tuple(exponent.name for exponent in self.exponents)

    def centre(self, columns: Columns) -> dict[str, float]:
        """The mean log of each column: the origin of the parameters."""
        return {name: float(np.log(columns[self.same_unit.get(name, name)]).mean()) for name in self.columns}

    @property
    def floor(self) -> str | None:
        """The name of the coefficient that the law tends to with infinite compute, if it has one."""
        return "E" if "E" in self.names else None

    def evaluate(self, z: Columns, parameters_BM: Array) -> tuple[Array, Array]:
        """The law's value (B, n) and its derivatives (B, n, m) at centred logs `z`, each of shape (1 or B, n)."""
        count = len(self.terms)
        q = {exponent.name: parameters_BM[:, count + j, None] for j, exponent in enumerate(self.exponents)}
        shapes = self.shapes(z, q)
        lanes, points = np.broadcast_shapes(*(phi.shape for phi, _ in shapes), (len(parameters_BM), 1))
        value = np.zeros((lanes, points))
        jacobian = np.zeros((lanes, points, len(self.names)))
        column_of = {exponent.name: count + j for j, exponent in enumerate(self.exponents)}
        for k, (term, (phi, slopes)) in enumerate(zip(self.terms, shapes, strict=True)):
            raw = parameters_BM[:, k, None]
            coefficient = np.exp(raw) if term.amplitude else raw
            part = coefficient * phi
            value += part
            jacobian[:, :, k] = part if term.amplitude else phi
            for name, slope in slopes.items():
                jacobian[:, :, column_of[name]] += coefficient * slope
        return value, jacobian

    def theta(self, parameters: Array, centre: Mapping[str, float]) -> dict[str, float]:
        """A parameter vector (m,) in natural units."""
        values = dict(zip(self.names, map(float, parameters), strict=True))
        theta = {}
        for term in self.terms:
            shift = sum(values[exponent] * centre[column] for column, exponent in term.powers.items())
            theta[term.name] = float(np.exp(values[term.name] + shift)) if term.amplitude else values[term.name]
        for exponent in self.exponents:
            value = values[exponent.name]
            if exponent.kind != "exponent":
                value = float(np.exp(value + (centre[exponent.column] if exponent.kind == "location" else 0.0)))
            theta[exponent.name] = value
        return theta

    def parameters(self, theta: Mapping[str, float], centre: Mapping[str, float]) -> Array:
        """The parameter vector (m,) of natural `theta`: the inverse of `theta`."""
        values = []
        for term in self.terms:
            shift = sum(theta[exponent] * centre[column] for column, exponent in term.powers.items())
            values.append(np.log(theta[term.name]) - shift if term.amplitude else theta[term.name])
        for exponent in self.exponents:
            value = theta[exponent.name]
            if exponent.kind != "exponent":
                value = np.log(value) - (centre[exponent.column] if exponent.kind == "location" else 0.0)
            values.append(value)
        return np.array(values, dtype=float)

    def value(self, theta: Mapping[str, float], columns: Columns) -> Array:
        """The law at natural `theta` and `columns`, for instance a published law. Shape (n,)."""
        z = {name: np.log(np.asarray(columns[name], dtype=float))[None, :] for name in self.columns}
        no_centre = dict.fromkeys(self.columns, 0.0)
        value, _ = self.evaluate(z, self.parameters(theta, no_centre)[None, :])
        curve: Array = value[0]
        return curve


def law_in(columns: Collection[str]) -> Law | None:
    """The law in just these columns; None where there is none, or several.

    >>> law_in(("N", "D")).name, law_in(("C",))
    ('chinchilla', None)
    """
    fitting = [law for law in LAWS.values() if set(law.columns) == set(columns)]
    return fitting[0] if len(fitting) == 1 else None


def law_named(name: str) -> Law:
    """The law called `name`. Raises InputError with the nearest valid name."""
    if name not in LAWS:
        raise InputError(f"law: unknown law {name!r}{nearest(name, LAWS)}")
    return LAWS[name]


def _constant(z: Array) -> Shape:
    return np.ones((1, z.shape[-1])), {}


def _decay(z: Array, q: Columns, exponent: str) -> Shape:
    phi = np.exp(-q[exponent] * z)
    return phi, {exponent: -z * phi}


def _power(z: Columns, q: Columns) -> tuple[Shape, ...]:
    return (_decay(z["C"], q, "b"),)


def _power_floor(z: Columns, q: Columns) -> tuple[Shape, ...]:
    return _constant(z["C"]), _decay(z["C"], q, "b")


def _saturating(z: Columns, q: Columns) -> tuple[Shape, ...]:
    distance = z["C"] - q["C0"]
    unlearnt = 1.0 / (1.0 + np.exp(np.clip(q["b"] * distance, -500.0, 500.0)))
    rate = unlearnt * (1.0 - unlearnt)
    slopes = {"b": -rate * distance, "C0": rate * q["b"]}
    return (1.0 - unlearnt, {name: -slope for name, slope in slopes.items()}), (unlearnt, slopes)


def _chinchilla(z: Columns, q: Columns) -> tuple[Shape, ...]:
    return _constant(z["N"]), _decay(z["N"], q, "alpha"), _decay(z["D"], q, "beta")


def _smooth_broken(z: Columns, q: Columns) -> tuple[Shape, ...]:
    sharpness = np.exp(q["f"])
    scaled = (z["C"] - q["C1"]) / sharpness
    softplus = np.logaddexp(0.0, scaled)
    sigmoid = np.exp(scaled - softplus)
    phi = np.exp(-q["b"] * z["C"] - q["b1"] * sharpness * softplus)
    slopes = {
        "b": -z["C"] * phi,
        "b1": -sharpness * softplus * phi,
        "C1": q["b1"] * sigmoid * phi,
        "f": -q["b1"] * sharpness * (softplus - scaled * sigmoid) * phi,
    }
    return _constant(z["C"]), (phi, slopes)


def _data_constrained(z: Columns, q: Columns) -> tuple[Shape, ...]:
    half_life = np.exp(q["R"])
    repeats = np.maximum(np.exp(z["D"] - z["U"]) - 1.0, 0.0)
    decay = np.exp(-repeats / half_life)
    worth = 1.0 + half_life * (1.0 - decay)
    z_effective = z["U"] + np.log(worth)
    phi = np.exp(-q["beta"] * z_effective)
    worth_slope = half_life * (1.0 - decay) - repeats * decay
    slopes = {"beta": -z_effective * phi, "R": -q["beta"] * phi * worth_slope / worth}
    return _constant(z["N"]), _decay(z["N"], q, "alpha"), (phi, slopes)


def _llm_asr(z: Columns, q: Columns) -> tuple[Shape, ...]:
    return _constant(z["Ne"]), _decay(z["Ne"], q, "alpha"), _decay(z["Nl"], q, "beta"), _decay(z["H"], q, "gamma")


_EXPONENT_BOX = (1e-3, 8.0)
"""Published exponents lie within 0.02 to 1.5; the box is wider, so that an exponent on its edge is not identified."""

_STARTS_1D = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.55, 0.75, 1.0, 1.4, 2.0, 3.0)
_STARTS_2D = (0.05, 0.12, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5)
_STARTS_3D = (0.05, 0.15, 0.3, 0.5, 0.8, 1.4)
"""Starts for laws of one, two and three exponents, dense where published exponents are."""


def _exponent(name: str, starts: tuple[float, ...]) -> Exponent:
    return Exponent(name=name, low=_EXPONENT_BOX[0], high=_EXPONENT_BOX[1], starts=starts)


def _floor(name: str = "E") -> Term:
    return Term(name=name, powers={}, amplitude=False)


def _amplitude(name: str, **powers: str) -> Term:
    return Term(name=name, powers=powers, amplitude=True)


POWER = Law(
    name="power",
    formula="A C^-b",
    columns=("C",),
    terms=(_amplitude("A", C="b"),),
    exponents=(_exponent("b", _STARTS_1D),),
    shapes=_power,
)

POWER_FLOOR = Law(
    name="power_floor",
    formula="E + A C^-b",
    columns=("C",),
    terms=(_floor(), _amplitude("A", C="b")),
    exponents=(_exponent("b", _STARTS_1D),),
    shapes=_power_floor,
)

SATURATING = Law(
    name="saturating",
    formula="E + (K - E) / (1 + (C / C0)^b)",
    columns=("C",),
    terms=(_floor("E"), _floor("K")),
    exponents=(
        _exponent("b", (*_STARTS_2D, 2.0, 3.0)),
        Exponent(
            name="C0", kind="location", column="C", low=-2.0, high=1.0, starts=(-1.0, -0.4, -0.1, 0.1, 0.25, 0.5, 0.8)
        ),
    ),
    shapes=_saturating,
)
"""K is what a model that knows nothing scores; C0 the compute at which half of K - E is learnt. Far above C0 it is a
power law with a floor, A = (K - E) C0^b.
"""

CHINCHILLA = Law(
    name="chinchilla",
    formula="E + A N^-alpha + B D^-beta",
    columns=("N", "D"),
    terms=(_floor(), _amplitude("A", N="alpha"), _amplitude("B", D="beta")),
    exponents=(_exponent("alpha", _STARTS_2D), _exponent("beta", _STARTS_2D)),
    shapes=_chinchilla,
)
"""Hoffmann et al. 2022, approach 3: N parameters, D tokens."""

SMOOTH_BROKEN = Law(
    name="smooth_broken",
    formula="E + A C^-b (1 + (C / C1)^(1/f))^(-b1 f)",
    columns=("C",),
    terms=(_floor(), _amplitude("A", C="b")),
    exponents=(
        _exponent("b", (0.03, 0.1, 0.25, 0.5, 1.0)),
        Exponent(name="b1", low=-2.0, high=8.0, starts=(-0.2, 0.15, 0.4, 1.0)),
        Exponent(name="C1", kind="location", column="C", low=0.0, high=1.0, starts=(0.2, 0.35, 0.5, 0.65, 0.8)),
        Exponent(name="f", kind="log", low=np.log(0.1), high=np.log(3.0), starts=(np.log(0.3), np.log(1.0))),
    ),
    shapes=_smooth_broken,
)
"""Caballero et al. 2023 ("Broken neural scaling laws"), one break: the slope changes from b to b + b1 around C1 over a
width f in log C. Below f = 0.1 a break is sharper than any table of budgets can show.
"""

DATA_CONSTRAINED = Law(
    name="data_constrained",
    formula="E + A N^-alpha + B (U (1 + R (1 - exp(-(D/U - 1) / R))))^-beta",
    columns=("N", "D", "U"),
    terms=(_floor(), _amplitude("A", N="alpha"), _amplitude("B", U="beta")),
    exponents=(
        _exponent("alpha", _STARTS_3D),
        _exponent("beta", _STARTS_3D),
        Exponent(name="R", kind="log", low=np.log(0.1), high=np.log(1e3), starts=(np.log(2.0), np.log(15.0))),
    ),
    shapes=_data_constrained,
    same_unit={"D": "U"},
)
"""Muennighoff et al. 2023: D tokens seen, U of them unique; repeats are worth less with a half-life of R passes. Their
second saturation, of parameters beyond what U can use, is left out: ASR studies do not vary it.
"""

LLM_ASR = Law(
    name="llm_asr",
    formula="E + A Ne^-alpha + B Nl^-beta + G H^-gamma",
    columns=("Ne", "Nl", "H"),
    terms=(_floor(), _amplitude("A", Ne="alpha"), _amplitude("B", Nl="beta"), _amplitude("G", H="gamma")),
    exponents=(_exponent("alpha", _STARTS_3D), _exponent("beta", _STARTS_3D), _exponent("gamma", _STARTS_3D)),
    shapes=_llm_asr,
)
"""The additive form of Chinchilla with one term a resource. That encoder, LLM and audio add rather than multiply is an
assumption, tested by its forecasts like any law.
"""

LAWS: dict[str, Law] = {
    law.name: law for law in (POWER, POWER_FLOOR, SATURATING, CHINCHILLA, SMOOTH_BROKEN, DATA_CONSTRAINED, LLM_ASR)
}
