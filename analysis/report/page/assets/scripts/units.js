// What FLOPs cost: hours of a device, and money. Prices are assumptions that the reader may change.

const UNITS = {
  flops: { axis: () => "charged FLOPs", name: "FLOPs" },
  hours: { axis: () => `hours of one ${device().name}`, name: "device hours" },
  usd: { axis: () => `USD, at ${number(state.price)} an hour of ${device().name}`, name: "USD" },
};

const device = () => study.devices.find((one) => one.name === state.device);

/** FLOPs in the unit of the axis, and back. */
const inUnit = (flops, unit = state.unit) => flops / flopsOf(unit);
const inFlops = (amount, unit = state.unit) => amount * flopsOf(unit);

function flopsOf(unit) {
  if (unit === "flops") return 1;
  return unit === "hours" ? device().flops_an_hour : device().flops_an_hour / state.price;
}

/** Time as people say it: seconds, minutes, hours, days. */
function duration(hours) {
  const [amount, unit] = hours < 1 / 60 ? [hours * 3600, "s"] : hours < 1 ? [hours * 60, "min"] : hours < 48 ? [hours, "h"] : [hours / 24, "d"];
  return `${number(amount)} ${unit}`;
}

const money = (usd) => usd < 0.01 ? "under 0.01" : usd >= 100 ? Math.round(usd).toLocaleString("en") : usd.toFixed(2);
