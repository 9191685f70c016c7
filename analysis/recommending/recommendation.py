"""What a recommendation says: a strategy and models at so many FLOPs, the predicted error, hours of audio, and cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.curves.curves import FAR, Curve
from analysis.curves.data_checks import check_shared_scale
from analysis.curves.predict import Prediction, predict
from analysis.fitting.intervals import Interval
from analysis.notes import Note, Status, as_document, as_text
from analysis.recommending.best_shares import BestShares, best_shares
from analysis.recommending.best_sizes import BestSizes, best_sizes
from analysis.recommending.inference_cost import flops_an_hour
from analysis.recommending.stage_spending import audio_hours, audio_notes, stage_flops
from analysis.recommending.training_price import HardwareCost, training_price
from analysis.recommending.winners_curse import WinnersCurse, winners_curse
from analysis.tables.seed_averaged_points import points_of
from analysis.tables.table import Table
from scaling.cost.hardware import Hardware
from scaling.scoring.interval import LEVEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """How to spend `flops` of training; None where the data do not say. Hours count every pass over the audio.

    `inference_flops` are those of `lifetime_hours` of recognition with the models recommended. `winners_curse` is what
    the choice among curves does to the prediction; `sizes` and `shares` are the best sizes of the models and shares of
    the stages where the runs identify them.
    """

    status: Status
    warnings: tuple[Note, ...]
    flops: float | None = None
    flops_interval: Interval | None = None
    prediction: Prediction | None = None
    audio_hours: float | None = None
    stage_flops: Mapping[str, float] | None = None
    cost: HardwareCost | None = None
    lifetime_hours: float = 0.0
    inference_flops: float = 0.0
    winners_curse: WinnersCurse | None = None
    sizes: BestSizes | None = None
    shares: BestShares | None = None

    def as_dict(self) -> dict[str, object]:
        """The recommendation as `recommend --json` prints it."""
        prediction = self.prediction
        return {
            "flops": self.flops,
            "flops_interval": self.flops_interval,
            "strategy": prediction.curve.strategy if prediction else None,
            "encoder": prediction.curve.encoder if prediction else None,
            "llm": prediction.curve.llm if prediction else None,
            "cer": prediction.cer if prediction else None,
            "interval": prediction.interval if prediction else None,
            "level": LEVEL,
            "audio_hours": self.audio_hours,
            "stage_flops": self.stage_flops,
            "cost": None if self.cost is None else self.cost.as_dict(),
            "lifetime_hours": self.lifetime_hours,
            "inference_flops": self.inference_flops,
            "contenders": []
            if self.winners_curse is None
            else [curve.label for curve in self.winners_curse.contenders],
            "curve_interval_in_spite_of_choice": None if self.winners_curse is None else self.winners_curse.interval,
            "best_sizes": None if self.sizes is None else as_document(self.sizes),
            "best_shares": None if self.shares is None else as_document(self.shares),
            "extrapolation": prediction.curve.extrapolation(prediction.flops) if prediction else None,
            "status": self.status,
            "warnings": as_text(self.warnings),
        }


def recommendation_at(
    curve: Curve,
    table: Table,
    flops: float,
    flops_interval: Interval,
    candidates: Sequence[tuple[Curve, float]],
    notes: Sequence[Note],
    hardware: Hardware | None,
    lifetime_hours: float,
) -> Recommendation:
    """The recommendation of a curve for `flops` of training, among `candidates` with what the same budget pays them."""
    prediction = predict(curve, flops)
    stages = stage_flops(curve, table, flops)
    cost = None if hardware is None else HardwareCost(flops=flops, price=training_price(curve, table, hardware))
    hours = audio_hours(curve, table, flops, stages)
    inference = lifetime_flops(curve, table, lifetime_hours)
    curse = winners_curse(curve, candidates) if curve.extrapolation(flops) <= FAR else None
    sizes = best_sizes(table, curve.strategy, flops + inference, lifetime_hours)
    shares = best_shares(table, curve, flops)
    refusals = [answer for answer in (sizes, shares) if isinstance(answer, Note)]
    return Recommendation(
        flops=flops,
        flops_interval=flops_interval,
        prediction=prediction,
        audio_hours=hours,
        stage_flops=stages,
        cost=cost,
        lifetime_hours=lifetime_hours,
        inference_flops=inference,
        winners_curse=curse,
        sizes=None if isinstance(sizes, Note) else sizes,
        shares=None if isinstance(shares, Note) else shares,
        status=curve.status,
        warnings=(
            *notes,
            *([] if curse is None else curse.notes),
            *prediction.warnings,
            *check_shared_scale(table, points_of(table)[0]),
            *audio_notes(curve, table, hours),
            *refusals,
            *([] if cost is None else [cost.note]),
        ),
    )


def lifetime_flops(curve: Curve, table: Table, lifetime_hours: float) -> float:
    """FLOPs to recognise `lifetime_hours` of audio with a curve's models."""
    return lifetime_hours * flops_an_hour(curve.encoder, curve.llm, table.path.parent) if lifetime_hours > 0.0 else 0.0
