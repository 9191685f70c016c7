import csv
import json
from pathlib import Path

import numpy as np
import pytest

import analysis
from analysis.fitting.fit import Fit
from analysis.fitting.intervals import interval
from analysis.fitting.laws import LAWS
from scaling.errors import InputError

C = np.geomspace(1e18, 1e21, 24)
N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 6), np.geomspace(1e9, 1e12, 6)))
U = np.minimum(D, 3e10)
NE, NL, H = (
    axis.ravel()
    for axis in np.meshgrid(np.geomspace(1e7, 1e9, 4), np.geomspace(1e8, 1e10, 4), np.geomspace(1e2, 1e5, 5))
)


def power(C, A, b):
    return A * C**-b


def power_floor(C, E, A, b):
    return E + A * C**-b


def saturating(C, E, K, b, C0):
    return E + (K - E) / (1 + (C / C0) ** b)


def chinchilla(N, D, E, A, B, alpha, beta):
    return E + A * N**-alpha + B * D**-beta


def smooth_broken(C, E, A, b, b1, C1, f):
    return E + A * C**-b * (1 + (C / C1) ** (1 / f)) ** (-b1 * f)


def data_constrained(N, D, U, E, A, B, alpha, beta, R):
    return E + A * N**-alpha + B * (U * (1 + R * (1 - np.exp(-(D / U - 1) / R)))) ** -beta


def llm_asr(Ne, Nl, H, E, A, B, G, alpha, beta, gamma):
    return E + A * Ne**-alpha + B * Nl**-beta + G * H**-gamma


PLANTED = {
    "power": (power, {"C": C}, {"A": 3e4, "b": 0.27}),
    "power_floor": (power_floor, {"C": C}, {"E": 0.04, "A": 3e4, "b": 0.27}),
    "saturating": (saturating, {"C": C}, {"E": 0.03, "K": 0.97, "b": 0.6, "C0": 8e18}),
    "chinchilla": (chinchilla, {"N": N, "D": D}, {"E": 1.8, "A": 480.0, "B": 2085.0, "alpha": 0.35, "beta": 0.37}),
    "smooth_broken": (
        smooth_broken,
        {"C": C},
        {"E": 0.02, "A": 5e2, "b": 0.17, "b1": 0.25, "C1": 4e19, "f": 0.5},
    ),
    "data_constrained": (
        data_constrained,
        {"N": N, "D": D, "U": U},
        {"E": 1.8, "A": 480.0, "B": 2085.0, "alpha": 0.35, "beta": 0.37, "R": 15.4},
    ),
    "llm_asr": (
        llm_asr,
        {"Ne": NE, "Nl": NL, "H": H},
        {"E": 0.02, "A": 6.0, "B": 9.0, "G": 1.1, "alpha": 0.3, "beta": 0.28, "gamma": 0.4},
    ),
}


def test_every_law_is_planted_here():
    assert set(PLANTED) == set(LAWS)


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize("loss", ["raw_ls", "log_ls", "log_huber"])
def test_noise_free_data_give_the_law_back_from_no_hint_100x_beyond_the_data(name, loss):
    formula, columns, theta = PLANTED[name]
    fitted = analysis.fit(law=name, columns=columns, y=formula(**columns, **theta), loss=loss)
    beyond = {column: np.concatenate([values, values * 10, values * 100]) for column, values in columns.items()}
    np.testing.assert_allclose(fitted.predict(beyond), formula(**beyond, **theta), rtol=1e-8)


@pytest.mark.parametrize("name", PLANTED)
def test_the_gradient_of_every_law_is_its_finite_difference(name):
    _, columns, theta = PLANTED[name]
    law = LAWS[name]
    centre = law.centre(columns)
    z = {column: np.log(values)[None, :] - centre[column] for column, values in columns.items()}
    x = law.parameters(theta, centre)[None, :]
    _, jacobian = law.evaluate(z, x)
    for j in range(x.shape[1]):
        step = np.zeros_like(x)
        step[0, j] = 1e-6
        slope = (law.evaluate(z, x + step)[0] - law.evaluate(z, x - step)[0]) / 2e-6
        np.testing.assert_allclose(jacobian[:, :, j], slope, rtol=2e-6, atol=1e-8)


@pytest.mark.parametrize("name", PLANTED)
def test_natural_parameters_evaluate_to_the_formula(name):
    formula, columns, theta = PLANTED[name]
    np.testing.assert_allclose(LAWS[name].value(theta, columns), formula(**columns, **theta), rtol=1e-12)


@pytest.mark.parametrize(
    ("loss", "objective", "theta"),
    [
        ("raw_ls", 0.0832038, {"E": 1.88281, "A": 567.805, "B": 7581.852, "alpha": 0.35762, "beta": 0.42762}),
        ("log_ls", None, {"E": 1.8646, "A": 593.32, "B": 4875.64, "alpha": 0.3603, "beta": 0.4059}),
        ("log_huber", 1.018275e-3, {"E": 1.8172, "A": 477.83, "B": 2143.4, "alpha": 0.3473, "beta": 0.3672}),
    ],
)
def test_the_published_chinchilla_points_give_the_best_known_objective(shared_data, loss, objective, theta):
    columns, y = chinchilla_points(shared_data)
    fitted = analysis.fit(law="chinchilla", columns=columns, y=y, loss=loss)
    assert fitted.n == 240
    assert fitted.status == "ok"
    assert fitted.starts_agreeing > 1
    for name, value in theta.items():
        assert fitted.theta[name] == pytest.approx(value, rel=3e-4), name
    if objective is not None:
        assert fitted.objective <= objective * (1 + 1e-7)


def test_a_gross_outlier_is_set_aside_and_named():
    y = power_floor(C, 0.05, 3e4, 0.27) * np.exp(0.03 * np.random.default_rng(1).standard_normal(len(C)))
    spoiled = y.copy()
    spoiled[7] = 0.95
    clean = analysis.fit(columns={"C": np.delete(C, 7)}, y=np.delete(y, 7))
    screened = analysis.fit(columns={"C": C}, y=spoiled, loss="log_ls_screened")
    assert screened.excluded == (7,)
    assert [note.code for note in screened.warnings] == ["outlier"]
    np.testing.assert_allclose(screened.predict({"C": C}), clean.predict({"C": C}), rtol=1e-6)


def test_gaussian_noise_is_almost_never_called_an_outlier():
    wrong = 0
    for seed in range(60):
        noise = np.exp(0.05 * np.random.default_rng([5, seed]).standard_normal(10))
        flops = np.geomspace(1e18, 1e21, 10)
        wrong += bool(analysis.fit(columns={"C": flops}, y=power_floor(flops, 0.05, 3e4, 0.27) * noise,
                                   loss="log_ls_screened").excluded)  # fmt: skip
    assert wrong <= 4


def test_a_floor_that_the_data_do_not_show_is_at_its_bound():
    bends_down = np.exp(-0.01 * np.log(C / C[0]) ** 2)
    fitted = analysis.fit(columns={"C": C}, y=power(C, 3e4, 0.27) * bends_down)
    assert fitted.theta["E"] == 0.0
    assert fitted.status == "at_bound"


def test_noise_alone_is_not_identified():
    y = 0.3 * np.exp(0.05 * np.random.default_rng(3).standard_normal(len(C)))
    assert analysis.fit(columns={"C": C}, y=y).status == "not_identified"


def test_one_model_size_does_not_identify_its_term():
    y = chinchilla(np.full_like(D, 1e9), D, 1.8, 480.0, 2085.0, 0.35, 0.37)
    fitted = analysis.fit("chinchilla", {"N": np.full_like(D, 1e9), "D": D}, y)
    assert fitted.status == "not_identified"
    assert "one_value" in {note.code for note in fitted.warnings}


def test_as_many_points_as_parameters_leave_no_interval():
    flops = np.geomspace(1e18, 1e20, 3)
    fitted = analysis.fit(columns={"C": flops}, y=power_floor(flops, 0.05, 3e4, 0.27))
    assert fitted.status == "too_few_points"
    assert interval(fitted, {"C": [1e21]})[1][0] == np.inf


def test_fixing_a_floor_holds_it():
    y = power_floor(C, 0.05, 3e4, 0.27)
    assert analysis.fit(columns={"C": C}, y=y, fixed={"E": 0.05}).theta["E"] == 0.05
    assert analysis.fit(columns={"C": C}, y=y, fixed={"E": 0.05}).theta["b"] == pytest.approx(0.27, abs=1e-9)
    assert analysis.fit(columns={"C": C}, y=y, fixed={"b": 0.3}).theta["b"] == 0.3


def test_a_stored_fit_answers_exactly_as_the_fit():
    y = power_floor(C, 0.05, 3e4, 0.27) * np.exp(0.03 * np.random.default_rng(1).standard_normal(len(C)))
    fitted = analysis.fit(columns={"C": C}, y=y)
    again = Fit.from_dict(json.loads(json.dumps(fitted.as_dict())))
    at = {"C": [1e22, 1e23]}
    assert again.theta == fitted.theta
    assert np.array_equal(interval(again, at, kind="new_run"), interval(fitted, at, kind="new_run"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"law": "power_flor"}, "did you mean 'power_floor'"),
        ({"loss": "huber"}, "unknown loss 'huber'"),
        ({"columns": {"N": C}}, "'C' is missing"),
        ({"columns": {"C": -C}}, "entry 0: -1e+18, expected a positive number"),
        ({"columns": {"C": C[:5]}}, "5 values, but y has 24"),
        ({"y": np.full_like(C, np.nan)}, "column y, entry 0: nan"),
        ({"columns": {"C": C[:2]}, "y": [0.1, 0.2]}, "2 points cannot determine 3 parameters"),
        ({"fixed": {"A": 1.0}}, "'A' cannot be fixed"),
    ],
)
def test_wrong_input_is_named(arguments, message):
    with pytest.raises(InputError) as error:
        analysis.fit(**{"columns": {"C": C}, "y": power(C, 3e4, 0.27), **arguments})
    assert message in str(error.value)


def chinchilla_points(shared_data: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The digitised points without the five highest losses."""
    with (shared_data / "epoch_chinchilla.csv").open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: float(row["loss"]))[:-5]
    return (
        {name: np.array([float(row[name]) for row in rows]) for name in ("N", "D")},
        np.array([float(row["loss"]) for row in rows]),
    )
