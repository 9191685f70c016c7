// Everything that can be clicked, typed or slid, and what it changes.

const slider = byId("budget-slider"), STEPS = 1000;
const ends = study.flops_range.map(Math.log);

/** Draw again, answer again, and say it in the URL. */
function update() {
  draw();
  fillPredictions(drawn.traces);
  fillPrices();
  for (const box of byId("strategies").querySelectorAll("input")) box.checked = !state.hidden.has(Number(box.value));
  slider.value = String(Math.round(STEPS * (Math.log(state.flops) - ends[0]) / (ends[1] - ends[0])));
  slider.setAttribute("aria-valuetext", `${short(state.flops)} FLOPs`);
  const changed = state.price === device().usd_an_hour ? "" : `; counted at ${number(state.price)} USD an hour`;
  byId("cost").textContent = `Time and money of training on one ${device().note}${changed}. Looks at dev and decoding come on top: “asr-scaling plan” counts them.`;
  writeUrl();
}

function setBudget(flops) {
  state.flops = rounded(Math.min(Math.max(flops, study.answers_range[0]), study.answers_range[1]));
  showTyped();
  update();
}

/** Show what is asked about in the fields, and take back what was said against their text. */
function showTyped() {
  byId("budget").value = state.unit === "flops" ? exact(state.flops) : short(inUnit(state.flops));
  byId("wanted").value = exact(state.cer);
  for (const field of [byId("budget"), byId("wanted"), byId("price")]) refuse(field, "");
}

/** Say below a field why its text is not understood; the answers stay those of the last text that was. */
function refuse(field, message) {
  field.setAttribute("aria-invalid", String(message !== ""));
  byId(field.getAttribute("aria-describedby")).textContent = message;
}

/** Let a field change the state by what is typed, on Enter and on leaving it. */
function typed(id, what, limits, take) {
  const field = byId(id);
  field.addEventListener("change", () => {
    try {
      take(parsed(field.value, what, limits()));
      refuse(field, "");
      update();
    } catch (error) { refuse(field, error.message); }
  });
}

function strategyKeys() {
  byId("strategies").append(...study.strategies.map((name, index) => {
    const trace = study.traces.find((one) => one.strategy === index), row = html("span", undefined, "strategy"), box = html("input"), alone = html("button", name);
    Object.assign(box, { type: "checkbox", value: String(index), checked: true, ariaLabel: `show ${name}` });
    Object.assign(alone, { type: "button", title: `show ${name} alone, or all again` });
    box.addEventListener("change", () => { state.hidden[box.checked ? "delete" : "add"](index); update(); });
    alone.addEventListener("click", () => { isolate(index); update(); });
    row.append(box, element("svg", { class: `key s${trace.style}`, width: 14, height: 14, viewBox: "-7 -7 14 14", "aria-hidden": "true" }, element("path", { d: MARKS[trace.mark] })), alone);
    return row;
  }));
}

/** Show one strategy alone; all of them where it was alone already. */
function isolate(index) {
  const others = study.strategies.map((_, k) => k).filter((k) => k !== index);
  const isAlone = !state.hidden.has(index) && others.every((k) => state.hidden.has(k));
  state.hidden = new Set(isAlone ? [] : others);
}

/** A choice from a list, filled with [value, text]. */
function choice(id, options, value, take) {
  const field = byId(id);
  field.append(...options.map(([key, text]) => Object.assign(html("option", text), { value: key })));
  field.value = value;
  field.addEventListener("change", () => { take(field.value); showTyped(); update(); });
}

function start() {
  readUrl();
  strategyKeys();
  choice("models", [["", "best at the budget"], ...study.models.map((name, index) => [String(index), name])], state.models ?? "", (value) => { state.models = value === "" ? null : Number(value); });
  byId("models").parentElement.hidden = study.models.length < 2;
  choice("unit", [["flops", "FLOPs"], ["hours", "device hours"], ["usd", "USD"]], state.unit, (value) => { state.unit = value; });
  choice("device", study.devices.map((one) => [one.name, one.name]), state.device, (value) => { state.device = value; state.price = device().usd_an_hour; byId("price").value = exact(state.price); });
  choice("across", [["log", "log"], ["linear", "linear"]], state.x, (value) => { state.x = value; });
  choice("upwards", [["log", "log"], ["linear", "linear"]], state.y, (value) => { state.y = value; });
  byId("price").value = exact(state.price);
  typed("budget", "budget", () => study.answers_range.map((flops) => inUnit(flops)), (value) => { state.flops = inFlops(value); });
  typed("wanted", study.error, () => [1e-9, 10], (value) => { state.cer = value; });
  typed("price", "price", () => [1e-6, 1e6], (value) => { state.price = value; });
  slider.max = String(STEPS);
  slider.addEventListener("input", () => setBudget(Math.exp(ends[0] + (ends[1] - ends[0]) * Number(slider.value) / STEPS)));
  plot.addEventListener("click", (event) => {
    const place = event.clientX - plot.getBoundingClientRect().left;
    if (place > margin.left && place < drawn.width - margin.right) setBudget(inFlops(drawn.x.invert(place)));
  });
  byId("save-csv").addEventListener("click", () => saveCsv(`${study.name}.csv`, plotRows()));
  byId("save-png").addEventListener("click", savePng);
  const answers = study.traces.some((trace) => trace.law.length);
  document.querySelectorAll("[data-needs-script]").forEach((node) => { node.hidden = node.classList.contains("ask") && !answers; });
  for (const link of document.querySelectorAll("nav a")) link.addEventListener("click", () => { anchor = link.hash.slice(1); setTimeout(writeUrl); });
  showTyped();
  update();
  new ResizeObserver(() => { if (Math.max(plot.clientWidth, 260) !== drawn.width) draw(); }).observe(plot.parentElement);
  if (anchor) byId(anchor)?.scrollIntoView();
}

if (study.traces.length) start();
