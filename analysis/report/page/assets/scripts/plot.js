// The figure: error against FLOPs, hours or money, with a line at the budget that is asked about.

const plot = byId("plot"), margin = { left: 56, right: 14, top: 10, bottom: 44 };
let drawn = null; // what hover and downloads need of the last drawing: { picture, traces, x, y }

function draw() {
  const traces = shownTraces();
  const width = Math.max(plot.clientWidth, 260), height = Math.round(Math.min(460, Math.max(290, width * 0.56)));
  const [x, y] = plotScales(traces, width, height);
  const clip = element("clipPath", { id: "frame" }, element("rect", { x: margin.left, y: margin.top,
    width: width - margin.left - margin.right, height: height - margin.top - margin.bottom }));
  const inside = element("g", { "clip-path": "url(#frame)" });
  for (const trace of traces) inside.append(...lawNodes(trace, x, y));
  inside.append(element("line", { class: "budget", x1: x(inUnit(state.flops)), x2: x(inUnit(state.flops)), y1: margin.top, y2: height - margin.bottom }));
  for (const trace of traces) inside.append(...trace.points.map((point) => pointNode(trace, point, x, y)));
  for (const one of study.forecasts) if (traces.includes(study.traces[one.trace])) inside.append(forecastNode(one, x, y));
  for (const trace of traces) {
    const row = at(trace, bought(trace));
    if (row && trace.drawn_to) inside.append(element("circle", { class: `answer s${trace.style}`, cx: x(inUnit(state.flops)), cy: y(row[CER]), r: 4 }));
  }
  const picture = element("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${study.error} against ${UNITS[state.unit].axis()}` },
    element("defs", {}, clip), axes(x, y, width, height), inside);
  plot.replaceChildren(picture, tip);
  drawn = { picture, traces, x, y, width, height };
}

/** Scales from amounts in the unit of the axis, and from errors. */
function plotScales(traces, width, height) {
  const errors = study.traces.flatMap((trace) => [...trace.points.flatMap((point) => [point.low, point.high]),
    ...drawnRows(trace, trace.smallest_flops, trace.drawn_to).map((row) => row[CER])])
    .concat(study.forecasts.map((one) => one.truth ?? one.predicted)).filter((cer) => cer > 0);
  const amounts = study.traces.flatMap((trace) => [...trace.points.map((point) => point.flops), trace.drawn_to].filter((flops) => flops).map((flops) => inUnit(flops, trace)))
    .concat(study.forecasts.map((one) => inUnit(one.flops, study.traces[one.trace])));
  const [first, last] = [Math.min(...amounts), Math.max(...amounts, inUnit(state.flops))];
  const across = [margin.left, width - margin.right], up = [height - margin.bottom, margin.top];
  const x = scale(state.x, [first / 1.15, last * (state.x === "log" ? 1.15 : 1.03)], across);
  return [x, scale(state.y, [Math.min(...errors) / 1.25, Math.max(...errors) * (state.y === "log" ? 1.25 : 1.05)], up)];
}

function axes(x, y, width, height) {
  const group = element("g", { class: "axes" }), bottom = height - margin.bottom;
  for (const value of x.ticks(state.x === "log" ? 44 : 72)) {
    group.append(element("line", { x1: x(value), x2: x(value), y1: margin.top, y2: bottom }),
      element("text", { x: x(value), y: bottom + 16, "text-anchor": "middle" }, power(value)));
  }
  for (const value of y.ticks(24)) {
    group.append(element("line", { x1: margin.left, x2: width - margin.right, y1: y(value), y2: y(value) }),
      element("text", { x: margin.left - 6, y: y(value) + 4, "text-anchor": "end" }, String(Number(value.toPrecision(3)))));
  }
  group.append(element("text", { x: (margin.left + width - margin.right) / 2, y: height - 6, "text-anchor": "middle" }, UNITS[state.unit].axis()),
    element("text", { transform: `translate(12 ${(margin.top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, study.error));
  return group;
}

/** Bands and lines: solid over the data, dashed and paler beyond. */
function lawNodes(trace, x, y) {
  const across = (row) => x(inUnit(row[FLOPS], trace)).toFixed(1);
  const parts = [[trace.smallest_flops, Math.min(trace.largest_flops, trace.drawn_to), ""], [trace.largest_flops, trace.drawn_to, " beyond"]];
  return parts.flatMap(([from, to, far]) => {
    const rows = drawnRows(trace, from, to);
    if (rows.length < 2) return [];
    const place = (row, k) => `${across(row)},${Math.min(Math.max(y(row[k]), -1e4), 1e4).toFixed(1)}`;
    const nodes = [element("polyline", { class: `law s${trace.style}${far}`, points: rows.map((row) => place(row, CER)).join(" ") })];
    const bounded = rows.filter((row) => row[CURVE_LOW] !== null);
    if (bounded.length === rows.length) {
      const upper = rows.map((row) => row[CURVE_HIGH] === null ? `${across(row)},-10000` : place(row, CURVE_HIGH)).reverse();
      nodes.unshift(element("polygon", { class: `band s${trace.style}${far}`, points: [...rows.map((row) => place(row, CURVE_LOW)), ...upper].join(" ") }));
    }
    return nodes;
  });
}

function pointNode(trace, point, x, y) {
  const group = element("g", { class: `point s${trace.style}${point.set_aside ? " open" : ""}` }), across = x(inUnit(point.flops, trace));
  if (point.high > point.low) group.append(element("line", { x1: across, x2: across, y1: y(point.low), y2: y(point.high) }));
  group.append(element("path", { d: MARKS[trace.mark], transform: `translate(${across} ${y(point.cer)})` }));
  return group;
}

function forecastNode(one, x, y) {
  const trace = study.traces[one.trace], group = element("g", { class: `forecast s${trace.style}` }), place = x(inUnit(one.flops, trace));
  if (one.interval) {
    const [top, bottom] = [y(one.interval[1]), Math.min(y(one.interval[0]), 1e4)];
    for (const [x1, y1, x2, y2] of [[place, top, place, bottom], [place - 5, top, place + 5, top], [place - 5, bottom, place + 5, bottom],
      [place - 7, y(one.predicted), place + 7, y(one.predicted)]]) group.append(element("line", { x1, y1, x2, y2 }));
  }
  if (one.truth !== null) group.append(element("path", { d: MARKS.star, transform: `translate(${place} ${y(one.truth)})` }));
  return group;
}
