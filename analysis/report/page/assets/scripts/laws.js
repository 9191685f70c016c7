// What the curves say: the numbers of `predict` and of `recommend --cer`, read off rows that were sampled for this.

const [FLOPS, CER, CURVE_LOW, CURVE_HIGH, RUN_LOW, RUN_HIGH, CALIBRATED_LOW, CALIBRATED_HIGH, EXPECTED] = [0, 1, 2, 3, 4, 5, 6, 7, 8];

/** The share of the way in logarithms from `a` to `b` at which `value` lies. */
const shareOfWay = (value, a, b) => a === b ? 0 : Math.log(value / a) / Math.log(b / a);

/** Two numbers mixed in logarithms; null where one is missing. */
const mixed = (a, b, share) => a === null || b === null ? null : a > 0 && b > 0 ? a ** (1 - share) * b ** share : (1 - share) * a + share * b;

/** The row of a law at `flops`, a straight line in logarithms between its rows; null outside them. */
function at(trace, flops) {
  const rows = trace.law;
  if (!rows.length || flops < rows[0][FLOPS] * (1 - 1e-9) || flops > rows.at(-1)[FLOPS] * (1 + 1e-9)) return null;
  const right = Math.max(rows.findIndex((row) => row[FLOPS] >= flops), 0) || (flops > rows[0][FLOPS] ? rows.length - 1 : 0);
  const [a, b] = [rows[Math.max(right - 1, 0)], rows[right]];
  const share = shareOfWay(flops, a[FLOPS], b[FLOPS]);
  return a.map((value, k) => k === FLOPS ? flops : atLeast(trace, k, mixed(value, b[k], share)));
}

/** No answer lies below what the test can resolve. */
const atLeast = (trace, column, value) => value === null || column === EXPECTED ? value : Math.max(value, trace.least);

/**
 * The FLOPs at which a column of a law passes `cer`, searched outwards from the largest run.
 * 0 where it lies below at all FLOPs sampled, Infinity where it lies above.
 */
function crossing(trace, column, cer) {
  const rows = trace.law.filter((row) => row[column] !== null);
  if (!rows.length) return column === CURVE_LOW ? 0 : Infinity;
  const start = rows.findIndex((row) => row[FLOPS] >= trace.largest_flops * (1 - 1e-9));
  const upwards = rows[start][column] > cer, step = upwards ? 1 : -1;
  for (let k = start; rows[k + step]; k += step)
    if (rows[k + step][column] > cer !== upwards) {
      const share = shareOfWay(cer, rows[k][column], rows[k + step][column]);
      return mixed(rows[k][FLOPS], rows[k + step][FLOPS], share);
    }
  return upwards ? Infinity : 0;
}

/** How many times the largest run of a curve `flops` are. */
const extrapolation = (trace, flops) => flops / trace.largest_flops;

/** Of curves of one strategy, the one with the lowest expected error at the budget, as `predict` chooses. */
function best(traces) {
  const rank = (trace) => at(trace, bought(trace))?.[EXPECTED] ?? 1e3 + (trace.points.at(-1)?.cer ?? 1);
  return traces.reduce((a, b) => rank(b) < rank(a) ? b : a);
}

/** The part of a law that is drawn: from the smallest run to where the runs carry it. */
function drawnRows(trace, from, to) {
  if (!trace.drawn_to || from >= to) return [];
  return [at(trace, from), ...trace.law.filter((row) => row[FLOPS] > from && row[FLOPS] < to), at(trace, to)];
}
