// What lies under the pointer: a point, a tested forecast, or a law.

const tip = html("div", undefined, "tip"), NEAR_POINT = 18, NEAR_LAW = 14;
tip.hidden = true;

plot.addEventListener("pointermove", (event) => {
  const box = plot.getBoundingClientRect(), [left, top] = [event.clientX - box.left, event.clientY - box.top];
  const distance = (one) => Math.hypot(one.left - left, one.top - top);
  const nearest = marks().sort((a, b) => distance(a) - distance(b))[0];
  const found = nearest && distance(nearest) < NEAR_POINT ? nearest : lawUnder(left, top);
  tip.hidden = !found;
  if (!found) return;
  tip.replaceChildren(...found.lines.map((line) => html("div", line)));
  tip.style.left = `${Math.max(Math.min(found.left + 12, box.width - 200), 0)}px`;
  tip.style.top = `${Math.max(found.top - 64, 0)}px`;
});
plot.addEventListener("pointerleave", () => { tip.hidden = true; });

const amount = (flops, trace) => state.unit === "flops" ? `${short(flops)} FLOPs` : `${short(inUnit(flops, trace))} ${UNITS[state.unit].name} (${short(flops)} FLOPs)`;

function marks() {
  const { traces, x, y } = drawn;
  const points = traces.flatMap((trace) => trace.points.map((point) => ({ left: x(inUnit(point.flops, trace)), top: y(point.cer), lines: [
    trace.label, `${amount(point.flops, trace)}: ${study.error} ${number(point.cer)}`,
    point.runs > 1 ? `${point.runs} seeds, ${number(point.low)} to ${number(point.high)}` : "one run",
    ...(point.set_aside ? [`set aside: runs that ${point.set_aside}`] : [])] })));
  const forecasts = study.forecasts.filter((one) => traces.includes(study.traces[one.trace])).map((one) => ({ left: x(inUnit(one.flops, study.traces[one.trace])), top: y(one.truth ?? one.predicted), lines: [
    study.traces[one.trace].label, one.truth === null ? `forecast at ${amount(one.flops, study.traces[one.trace])}, which waits for its run` : `forecast run at ${amount(one.flops, study.traces[one.trace])}: ${study.error} ${number(one.truth)}`,
    one.predicted === null ? "no prediction" : `predicted ${number(one.predicted)}${one.interval ? `, ${between(one.interval)}` : ""}`] }));
  return [...points, ...forecasts];
}

/** The law nearest below or above the pointer. */
function lawUnder(left, top) {
  const { traces, x, y } = drawn;
  const rows = traces.map((trace) => [trace, inFlops(x.invert(left), trace)])
    .filter(([trace, flops]) => trace.drawn_to && flops >= trace.smallest_flops && flops <= trace.drawn_to)
    .map(([trace, flops]) => [trace, at(trace, flops)]).filter(([, row]) => row && Math.abs(y(row[CER]) - top) < NEAR_LAW)
    .sort((a, b) => Math.abs(y(a[1][CER]) - top) - Math.abs(y(b[1][CER]) - top));
  if (!rows.length) return null;
  const [trace, row] = rows[0];
  return { left, top: y(row[CER]), lines: [trace.label, `law at ${amount(row[FLOPS], trace)}: ${study.error} ${number(row[CER])}`, `90 % of new runs: ${between([row[RUN_LOW], row[RUN_HIGH]])}`] };
}
