// Axes: a scale from numbers to pixels, and its marks.

/** A logarithmic or linear scale from `domain` to pixels; `invert` goes back, `ticks` are marks `gap` pixels apart. */
function scale(kind, [low, high], [from, to]) {
  const log = kind === "log";
  const forth = log ? (value) => Math.log(Math.max(value, 1e-300)) : (value) => value, back = log ? Math.exp : (value) => value;
  const [a, b] = [forth(log ? low : 0), forth(high)];
  const place = (value) => from + (to - from) * (forth(value) - a) / (b - a);
  place.invert = (pixel) => back(a + (b - a) * (pixel - from) / (to - from));
  place.ticks = (gap) => log ? powers(low, high, Math.abs(to - from), gap) : steps(high, Math.abs(to - from) / gap);
  return place;
}

/** Powers of ten between `low` and `high`, with 2 and 5 where there is room, thinned where there is none. */
function powers(low, high, pixels, gap) {
  const decade = pixels / Math.log10(high / low), found = [];
  const every = decade < gap ? Math.ceil(gap / decade) : 1;
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1)
    if (power % every === 0) for (const step of decade > 3.3 * gap ? [1, 2, 5] : [1]) found.push(step * 10 ** power);
  return found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
}

/** Round numbers from 0 to `high`, at most `most` of them. */
function steps(high, most) {
  const rough = high / Math.max(most, 1), ten = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((digit) => digit * ten).find((one) => one >= rough);
  return Array.from({ length: Math.floor(high / step * 1.0001) + 1 }, (_, k) => k * step);
}
