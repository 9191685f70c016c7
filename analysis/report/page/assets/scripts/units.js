// What FLOPs cost: hours of a device, and money. Prices are assumptions that the reader may change. Steps of one curve
// are larger than those of another, so an hour trains more FLOPs of it: an amount in hours or money is that of the
// recommended curve, and buys of each other curve what the same amount pays.

const UNITS = {
  flops: { axis: () => "charged FLOPs", name: "FLOPs" },
  hours: { axis: () => `hours of one ${device().name}`, name: "device hours" },
  usd: { axis: () => `USD, at ${number(state.price)} an hour of ${device().name}`, name: "USD" },
};

const device = () => study.devices.find((one) => one.name === state.device);

/** FLOPs of a curve in the unit of the axis, and back. */
const inUnit = (flops, trace = study.traces[study.recommended], unit = state.unit) => flops / flopsOf(trace, unit);
const inFlops = (amount, trace = study.traces[study.recommended], unit = state.unit) => amount * flopsOf(trace, unit);

/** What the budget buys of a curve, in FLOPs. */
const bought = (trace) => inFlops(inUnit(state.flops), trace);

function flopsOf(trace, unit) {
  if (unit === "flops") return 1;
  const anHour = trace.flops_an_hour[study.devices.indexOf(device())];
  return unit === "hours" ? anHour : anHour / state.price;
}

/** What the training of so many FLOPs of a curve takes. */
const price = (flops, trace) => `${duration(inUnit(flops, trace, "hours"))}, ${money(inUnit(flops, trace, "usd"))} USD`;

/** Time as people say it: seconds, minutes, hours, days. */
function duration(hours) {
  if (hours < 1 / 3600) return "under 1 s";
  const [amount, unit] = hours < 1 / 60 ? [hours * 3600, "s"] : hours < 1 ? [hours * 60, "min"] : hours < 48 ? [hours, "h"] : [hours / 24, "d"];
  return `${number(amount)} ${unit}`;
}

const money = (usd) => usd < 0.01 ? "under 0.01" : usd >= 100 ? Math.round(usd).toLocaleString("en") : usd.toFixed(2);
