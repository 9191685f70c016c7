"""The laws that studies in these tests follow, written out here and not taken from the package."""

PLANTED = {"efin": (0.04, 0.36, 0.32), "joint": (0.045, 0.45, 0.28), "frozen_encoder": (0.20, 0.30, 0.30)}
SMALLEST_FLOPS = 1e11


def planted_cer(strategy: str, flops: float, encoder: str = "mini-s") -> float:
    """E + a (C / 1e11)^-b, and 15 % lower with the larger encoder."""
    floor, amplitude, exponent = PLANTED[strategy]
    cer = floor + amplitude * (flops / SMALLEST_FLOPS) ** -exponent
    return cer * (0.85 if encoder == "mini-m" else 1.0)
