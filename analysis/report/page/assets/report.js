"use strict";
// The figure of a report: error against FLOPs with a budget to slide. Data: the JSON of analysis/report/page/chart_data.py.
(() => {
  const study = JSON.parse(document.getElementById("study").textContent);
  const plot = document.getElementById("plot");
  const [FLOPS, CER, CURVE_LOW, CURVE_HIGH, RUN_LOW, RUN_HIGH] = [0, 1, 2, 3, 4, 5];
  const state = { flops: study.largest_flops, models: null, hidden: new Set() };
  const margin = { left: 52, right: 14, top: 10, bottom: 42 };

  // ---- what the curves say

  /** Row of a law at `flops`, between its sampled rows in logarithms; null outside them. */
  function at(trace, flops) {
    const path = trace.path;
    // The ends of the slider are rounded: a part in a million outside is on the end.
    if (!path.length || flops < path[0][FLOPS] * (1 - 1e-6) || flops > path[path.length - 1][FLOPS] * (1 + 1e-6)) return null;
    let right = path.findIndex((row) => row[FLOPS] >= flops);
    if (right < 0) right = path.length - 1;
    const [a, b] = [path[Math.max(right - 1, 0)], path[right]];
    const share = a === b ? 0 : Math.log(flops / a[FLOPS]) / Math.log(b[FLOPS] / a[FLOPS]);
    return a.map((value, k) => (value === null || b[k] === null ? null
      : value > 0 && b[k] > 0 ? Math.exp((1 - share) * Math.log(value) + share * Math.log(b[k])) : b[k]));
  }

  /** One trace a strategy: of the chosen models, or of those whose law is lowest at the budget. */
  function shownTraces() {
    const chosen = [];
    study.strategies.forEach((_, strategy) => {
      if (state.hidden.has(strategy)) return;
      const own = study.traces.filter((trace) => trace.strategy === strategy);
      if (state.models !== null) chosen.push(...own.filter((trace) => trace.models === state.models));
      else if (own.length) chosen.push(own.slice().sort((a, b) => rank(a) - rank(b))[0]);
    });
    return chosen;
  }

  function rank(trace) {
    const row = at(trace, state.flops);
    const last = trace.points.length ? trace.points[trace.points.length - 1].cer : 1;
    return (trace.status === "too_few_points" ? 2e3 : 0) + (row ? row[CER] : 1e3 + last);
  }

  // ---- drawing

  function element(name, attributes, ...children) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  function html(name, text, className) {
    const node = document.createElement(name);
    if (text !== undefined) node.textContent = text;
    if (className) node.className = className;
    return node;
  }

  function draw() {
    const traces = shownTraces();
    const width = Math.max(plot.clientWidth, 300), height = Math.round(Math.min(440, Math.max(290, width * 0.56)));
    const everyCer = study.traces.flatMap((trace) => [...trace.points.flatMap((p) => [p.low, p.high]), ...trace.path.map((row) => row[CER])])
      .concat(study.forecasts.flatMap((one) => [one.truth])).filter((cer) => cer > 0);
    const [first, last] = study.flops_range;
    const x = scale([first / 1.15, last * 1.15], [margin.left, width - margin.right]);
    const y = scale([Math.min(...everyCer) / 1.25, Math.max(...everyCer) * 1.25], [height - margin.bottom, margin.top]);
    const clip = element("clipPath", { id: "frame" }, element("rect", { x: margin.left, y: margin.top,
      width: width - margin.left - margin.right, height: height - margin.top - margin.bottom }));
    const inside = element("g", { "clip-path": "url(#frame)" });
    for (const trace of traces) inside.append(...law(trace, x, y));
    inside.append(element("line", { class: "budget", x1: x(state.flops), x2: x(state.flops), y1: margin.top, y2: height - margin.bottom }));
    for (const trace of traces) inside.append(...trace.points.map((point) => mark(trace, point, x, y)));
    for (const one of study.forecasts) if (traces.includes(study.traces[one.trace])) inside.append(forecast(one, x, y));
    for (const trace of traces) {
      const row = at(trace, state.flops);
      if (row) inside.append(element("circle", { class: `answer s${trace.style}`, cx: x(state.flops), cy: y(row[CER]), r: 4 }));
    }
    const picture = element("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "CER against charged FLOPs" },
      element("defs", {}, clip), axes(x, y, width, height), inside);
    picture.addEventListener("pointermove", (event) => showTip(event, picture, traces, x, y));
    picture.addEventListener("pointerleave", () => { tip.hidden = true; });
    picture.addEventListener("click", (event) => {
      const place = event.clientX - picture.getBoundingClientRect().left;
      if (place > margin.left && place < width - margin.right) setBudget(x.invert(place));
    });
    plot.replaceChildren(picture, tip);
    fillAnswers(traces);
  }

  /** A logarithmic scale from `domain` to pixels. */
  function scale([low, high], [from, to]) {
    const [a, b] = [Math.log(low), Math.log(high)];
    const place = (value) => from + (to - from) * (Math.log(Math.max(value, 1e-300)) - a) / (b - a);
    place.invert = (pixel) => Math.exp(a + (b - a) * (pixel - from) / (to - from));
    place.ticks = (gap) => {
      const decades = (b - a) / Math.LN10, pixels = Math.abs(to - from) / decades, steps = pixels > 3.3 * gap ? [1, 2, 5] : [1];
      const every = pixels < gap ? Math.ceil(gap / pixels) : 1, found = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1)
        if (power % every === 0) for (const step of steps) found.push(step * 10 ** power);
      return found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
    };
    return place;
  }

  function axes(x, y, width, height) {
    const group = element("g", { class: "axes" });
    const bottom = height - margin.bottom;
    for (const value of x.ticks(44)) {
      group.append(element("line", { x1: x(value), x2: x(value), y1: margin.top, y2: bottom }),
        element("text", { x: x(value), y: bottom + 16, "text-anchor": "middle" }, short(value)));
    }
    for (const value of y.ticks(22)) {
      group.append(element("line", { x1: margin.left, x2: width - margin.right, y1: y(value), y2: y(value) }),
        element("text", { x: margin.left - 6, y: y(value) + 4, "text-anchor": "end" }, String(Number(value.toPrecision(3)))));
    }
    group.append(element("text", { x: (margin.left + width - margin.right) / 2, y: height - 6, "text-anchor": "middle" }, "charged FLOPs"),
      element("text", { transform: `translate(12 ${(margin.top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, "CER"));
    return group;
  }

  /** Bands and lines: solid over the data, dashed and paler beyond. */
  function law(trace, x, y) {
    const parts = [[trace.path.filter((row) => row[FLOPS] <= trace.largest_flops), ""], [trace.path.filter((row) => row[FLOPS] >= trace.largest_flops), " beyond"]];
    return parts.flatMap(([rows, far]) => {
      if (rows.length < 2) return [];
      const line = rows.map((row) => `${x(row[FLOPS]).toFixed(1)},${y(row[CER]).toFixed(1)}`).join(" ");
      const nodes = [element("polyline", { class: `law s${trace.style}${far}`, points: line })];
      if (rows.every((row) => row[CURVE_LOW] !== null && row[CURVE_HIGH] !== null)) {
        const edge = (row, k) => `${x(row[FLOPS]).toFixed(1)},${Math.min(Math.max(y(row[k]), -1e4), 1e4).toFixed(1)}`;
        const outline = [...rows.map((row) => edge(row, CURVE_LOW)), ...rows.slice().reverse().map((row) => edge(row, CURVE_HIGH))];
        nodes.unshift(element("polygon", { class: `band s${trace.style}${far}`, points: outline.join(" ") }));
      }
      return nodes;
    });
  }

  const MARKS = {
    o: "M-4.2 0a4.2 4.2 0 1 0 8.4 0a4.2 4.2 0 1 0-8.4 0z", s: "M-3.8-3.8h7.6v7.6h-7.6z", "^": "M0-5l4.8 8.6h-9.6z",
    v: "M0 5l4.8-8.6h-9.6z", "<": "M-5 0l8.6-4.8v9.6z", D: "M0-5.2L5.2 0 0 5.2-5.2 0z", P: "M-1.7-5h3.4v3.3h3.3v3.4h-3.3v3.3h-3.4v-3.3h-3.3v-3.4h3.3z",
    X: "M-5-2.6l2.4-2.4L0-2.4 2.6-5 5-2.6 2.4 0 5 2.6 2.6 5 0 2.4-2.6 5-5 2.6-2.4 0z",
    star: "M0-9l2.6 6 6.5.5-5 4.3 1.6 6.4L0 4.8l-5.7 3.4 1.6-6.4-5-4.3 6.5-.5z",
  };

  function mark(trace, point, x, y) {
    const group = element("g", { class: `point s${trace.style}${point.set_aside ? " open" : ""}` });
    if (point.high > point.low) group.append(element("line", { x1: x(point.flops), x2: x(point.flops), y1: y(point.low), y2: y(point.high) }));
    group.append(element("path", { d: MARKS[trace.mark], transform: `translate(${x(point.flops)} ${y(point.cer)})` }));
    return group;
  }

  function forecast(one, x, y) {
    const trace = study.traces[one.trace], group = element("g", { class: `forecast s${trace.style}` });
    if (one.interval) {
      const [top, bottom] = [y(one.interval[1]), Math.min(y(one.interval[0]), 1e4)], place = x(one.flops);
      for (const [x1, y1, x2, y2] of [[place, top, place, bottom], [place - 5, top, place + 5, top], [place - 5, bottom, place + 5, bottom],
        [place - 7, y(one.predicted), place + 7, y(one.predicted)]]) group.append(element("line", { x1, y1, x2, y2 }));
    }
    group.append(element("path", { d: MARKS.star, transform: `translate(${x(one.flops)} ${y(one.truth)})` }));
    return group;
  }

  // ---- reading

  const tip = html("div", undefined, "tip");
  tip.hidden = true;

  /** Name what lies under the pointer. */
  function showTip(event, picture, traces, x, y) {
    const box = picture.getBoundingClientRect(), [left, top] = [event.clientX - box.left, event.clientY - box.top];
    const found = traces.flatMap((trace) => trace.points.map((point) => ({ left: x(point.flops), top: y(point.cer), lines: [
      trace.label, `${short(point.flops)} FLOPs: CER ${number(point.cer)}`,
      point.runs > 1 ? `${point.runs} seeds, ${number(point.low)} to ${number(point.high)}` : "one run",
      ...(point.set_aside ? ["set aside: see the warnings"] : [])] })));
    for (const one of study.forecasts) if (traces.includes(study.traces[one.trace])) found.push({ left: x(one.flops), top: y(one.truth),
      lines: [study.traces[one.trace].label, `forecast run at ${short(one.flops)} FLOPs: CER ${number(one.truth)}`,
        one.predicted === null ? "no prediction" : `predicted ${number(one.predicted)}${one.interval ? `, ${between(one.interval)}` : ""}`] });
    const distance = (one) => Math.hypot(one.left - left, one.top - top);
    const nearest = found.sort((a, b) => distance(a) - distance(b))[0];
    tip.hidden = !nearest || distance(nearest) > 22;
    if (tip.hidden) return;
    tip.replaceChildren(...nearest.lines.map((line) => html("div", line)));
    tip.style.left = `${Math.min(nearest.left + 12, box.width - 190)}px`;
    tip.style.top = `${Math.max(nearest.top - 64, 0)}px`;
  }

  const slider = document.getElementById("budget-slider"), typed = document.getElementById("budget-flops");
  const [least, most] = study.flops_range.map(Math.log);
  const STEPS = 1000;

  function setBudget(flops) {
    state.flops = Math.min(Math.max(flops, study.flops_range[0]), study.flops_range[1]);
    slider.value = String(Math.round(STEPS * (Math.log(state.flops) - least) / (most - least)));
    typed.value = short(state.flops);
    slider.setAttribute("aria-valuetext", `${short(state.flops)} FLOPs`);
    draw();
  }

  /** The table below the figure: each strategy's answer at the budget, lowest error first. */
  function fillAnswers(traces) {
    const body = document.getElementById("answers");
    const rows = traces.map((trace) => [trace, at(trace, state.flops)]).sort((a, b) => (a[1] ? a[1][CER] : 9) - (b[1] ? b[1][CER] : 9));
    body.replaceChildren(...rows.map(([trace, row]) => {
      const line = html("tr"), times = state.flops / trace.largest_flops, name = html("td");
      name.append(html("span", "", `swatch s${trace.style}`), trace.label);
      line.append(name);
      if (!row) line.append(Object.assign(html("td", "the runs do not say", "quiet"), { colSpan: 3 }));
      else line.append(html("td", number(row[CER]), "number"),
        html("td", row[RUN_LOW] === null || row[RUN_HIGH] === null ? "not known" : between([row[RUN_LOW], row[RUN_HIGH]]), "number"),
        html("td", times > 1.005 ? `${Number(times.toPrecision(2))} times the largest run` : "within the runs", times > 1.005 ? "beyond" : ""));
      return line;
    }));
  }

  const number = (value) => value === null ? "-" : String(Number(value.toPrecision(3)));
  const between = ([low, high]) => `${number(low)} to ${number(high)}`;
  const short = (value) => value >= 1e5 ? Number(value.toPrecision(3)).toExponential().replace("e+", "e") : String(Number(value.toPrecision(3)));

  // ---- controls

  function controls() {
    const strategies = document.getElementById("strategies");
    study.strategies.forEach((name, index) => {
      const label = html("label"), box = html("input");
      const trace = study.traces.find((one) => one.strategy === index);
      box.type = "checkbox";
      box.checked = true;
      box.addEventListener("change", () => { state.hidden[box.checked ? "delete" : "add"](index); draw(); });
      const key = element("svg", { class: `key s${trace.style}`, width: 14, height: 14, viewBox: "-7 -7 14 14", "aria-hidden": "true" }, element("path", { d: MARKS[trace.mark] }));
      label.append(box, key, name);
      strategies.append(label);
    });
    const models = document.getElementById("models");
    [["best at the budget", null], ...study.models.map((name, index) => [name, index])].forEach(([name, index]) => {
      const option = html("option", name);
      option.value = index === null ? "" : String(index);
      models.append(option);
    });
    models.addEventListener("change", () => { state.models = models.value === "" ? null : Number(models.value); draw(); });
    models.parentElement.hidden = study.models.length < 2;
    slider.max = String(STEPS);
    slider.addEventListener("input", () => setBudget(Math.exp(least + (most - least) * Number(slider.value) / STEPS)));
    typed.addEventListener("change", () => { const flops = Number(typed.value); setBudget(flops > 0 ? flops : state.flops); });
    const answers = study.traces.some((trace) => trace.path.length);
    document.querySelectorAll("[data-needs-script]").forEach((node) => { node.hidden = node.classList.contains("ask") && !answers; });
    new ResizeObserver(draw).observe(plot.parentElement);
    setBudget(state.flops);
  }

  // ---- tables that sort

  function sortable(table) {
    table.querySelectorAll("thead th").forEach((head, column) => {
      const button = html("button", head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
        const order = (a, b) => (value(a) === "" ? 1 : value(b) === "" ? -1
          : (down ? -1 : 1) * (Number(value(a)) - Number(value(b)) || String(value(a)).localeCompare(String(value(b)))));
        table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
      });
    });
  }

  document.querySelectorAll("table.sortable").forEach(sortable);
  if (study.traces.length) controls();
})();
