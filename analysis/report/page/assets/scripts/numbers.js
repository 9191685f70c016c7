// Numbers as the page writes them, and as people type them.

const number = (value, digits = 3) => value === null ? "–" : String(Number(value.toPrecision(digits))).replace("e+", "e");

/** Both ends of an interval; null is no end. */
function between([low, high], digits = 3) {
  if (low === null) return "not known";
  return high === null ? `above ${number(low, digits)}` : `${number(low, digits)} to ${number(high, digits)}`;
}

/** A number with all its digits, as people type it: 6.4e11. */
const exact = (value) => value >= 1e5 || value < 1e-3 ? value.toExponential().replace("e+", "e") : String(value);

/** The same with three digits. */
const short = (value) => exact(Number(value.toPrecision(3)));

/** A mark on an axis: plain where that is short, else as a power of ten. */
function power(value) {
  if (value === 0 || (value >= 1e-3 && value < 1e5)) return String(Number(value.toPrecision(3)));
  const [digits, exponent] = value.toExponential(1).split("e");
  const ten = `10${[...String(Number(exponent))].map((c) => c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]).join("")}`;
  return Number(digits) === 1 ? ten : `${Number(digits)}×${ten}`;
}

/**
 * The positive number that `text` holds, such as 1e12, 1,000,000 or 3×10^12, from `least` to `most`.
 * Throws an Error that says what was expected: what cannot be read is never guessed.
 */
function parsed(text, what, [least, most]) {
  let plain = text.trim().replace(/\s*[×*]\s*10\s*\^\s*/, "e").replace(/^10\s*\^\s*/, "1e");
  if (/^\d{1,3}(,\d{3})+(\.\d+)?$/.test(plain)) plain = plain.replaceAll(",", "");
  const value = /^\d*\.?\d+(e[+-]?\d+)?$|^\d+\.(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : NaN;
  if (!(value > 0 && Number.isFinite(value))) throw new Error(`${what} “${text}”: expected a positive number, such as ${short(Math.sqrt(least * most))}`);
  if (value < least * (1 - 1e-9) || value > most * (1 + 1e-9))
    throw new Error(`${what} ${text.trim()}: these runs can say something from ${short(least)} to ${short(most)}`);
  return value;
}
