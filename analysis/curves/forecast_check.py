"""The forecast check: what the fits of a study say of runs that they have not seen, and what these runs scored."""

from dataclasses import dataclass, replace
from pathlib import Path

from analysis.curves.curves import Curves, lowest
from analysis.curves.predict import Prediction, predict
from analysis.tables.choice import EVERYTHING, Choice
from analysis.tables.seed_averaged_points import curve_identity
from analysis.tables.usable_rows import ERROR, FLOPS, usable_rows
from scaling.errors import InputError
from scaling.ledger.records import RUNS_FILE

FORECAST_FOLDER = "forecast"
"""The folder, inside that of a study, of the runs that are forecast; the fits do not read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """One run that no fit has seen: the CER that it scored (`truth`), and the prediction at the FLOPs that it took.

    The prediction is None where the study has no curve for the run's strategy and models.
    """

    strategy: str
    encoder: str | None
    llm: str | None
    flops: float
    truth: float
    seed: int | None
    prediction: Prediction | None

    @property
    def inside(self) -> bool | None:
        """Whether the truth lies in the interval of one new run; None without an interval."""
        if self.prediction is None or self.prediction.interval is None:
            return None
        low, high = self.prediction.interval
        return low <= self.truth <= high

    def as_dict(self) -> dict[str, object]:
        """The forecast as `forecast --json` prints it: the prediction, then `seed`, `truth` and `inside`."""
        prediction = {} if self.prediction is None else self.prediction.as_dict()
        return {**prediction, "seed": self.seed, "truth": self.truth, "inside": self.inside}


def read_forecasts(curves: Curves, folder: Path, choice: Choice = EVERYTHING) -> tuple[Forecast, ...]:
    """Every usable run of `folder`/forecast, held against the curves of `folder`; empty where there is none. `choice`
    names columns and curves; the rows that it chooses are those that were fitted.
    """
    if not (folder / FORECAST_FOLDER / RUNS_FILE).is_file():
        return ()
    read = replace(choice, where=None)
    table = read.rows_of_curves(read.table(folder / FORECAST_FOLDER))
    forecasts = []
    for i in usable_rows(table, (FLOPS,))[0]:
        strategy, encoder, llm = curve_identity(table.rows[i])
        flops = table.number(i, FLOPS)
        own = [
            curve
            for curve in curves.curves
            if curve.strategy == strategy and encoder in (None, curve.encoder) and llm in (None, curve.llm)
        ]
        forecast = Forecast(
            strategy=strategy,
            encoder=encoder,
            llm=llm,
            flops=flops,
            truth=table.number(i, ERROR),
            seed=table.rows[i].get("seed"),
            prediction=predict(lowest(own, flops), flops) if own else None,
        )
        forecasts.append(forecast)
    return tuple(forecasts)


def check_forecasts(curves: Curves, folder: Path, choice: Choice = EVERYTHING) -> tuple[Forecast, ...]:
    """The forecasts of `read_forecasts`. Raises InputError where there are no runs, or no curve for one."""
    path = folder / FORECAST_FOLDER / RUNS_FILE
    if not path.is_file():
        raise InputError(f"{path}: no forecast runs; write their study with `recommend --study` and run it there")
    forecasts = read_forecasts(curves, folder, choice)
    for forecast in forecasts:
        if forecast.prediction is None:
            curves.of(forecast.strategy, forecast.encoder, forecast.llm)
    return forecasts


def forecasts_text(forecasts: tuple[Forecast, ...]) -> str:
    """Prediction, interval and truth side by side, one run a line."""
    return "\n".join(_line(forecast.prediction, forecast) for forecast in forecasts if forecast.prediction)


def _line(prediction: Prediction, forecast: Forecast) -> str:
    curve = prediction.curve
    run = f"{curve.strategy} on {curve.encoder} + {curve.llm} at {prediction.flops:.3g} FLOPs"
    reach = f"{curve.extrapolation(prediction.flops):.2g} x the largest fitted"
    if prediction.cer is None or prediction.interval is None:
        return f"{run} ({reach}): no prediction ({prediction.status}); truth {forecast.truth:.4f}"
    low, high = prediction.interval
    place = "inside" if forecast.inside else "outside"
    return (
        f"{run} ({reach}): predicted {prediction.cer:.4f}, {prediction.level:.0%} interval {low:.4f} to {high:.4f};"
        f" truth {forecast.truth:.4f}, {place}"
    )
