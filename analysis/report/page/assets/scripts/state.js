// What the reader has chosen. It is kept in the URL after #, so that a link shows the same picture.

const study = JSON.parse(byId("study").textContent);
const rounded = (flops) => Number(flops.toPrecision(3));
const DEFAULTS = { flops: rounded(study.largest_flops), cer: study.wanted_cer, unit: "flops", device: study.device, price: null, x: "log", y: "log", models: null };
const state = { ...DEFAULTS, hidden: new Set() };
let anchor = "";

const NAMES = { flops: "flops", cer: "cer", unit: "axis", device: "device", price: "usd-an-hour", x: "x", y: "y" };
const CHOICES = { unit: ["flops", "hours", "usd"], device: study.devices.map((one) => one.name), x: ["log", "linear"], y: ["log", "linear"] };

/** Take from the URL what it says and the study knows; the rest stays as it is by default. */
function readUrl() {
  const [first, ...rest] = location.hash.slice(1).split("&");
  anchor = first.includes("=") ? "" : first;
  const words = new URLSearchParams([...(anchor ? [] : [first]), ...rest].join("&"));
  for (const [field, name] of Object.entries(NAMES)) {
    const text = words.get(name);
    if (text === null) continue;
    if (CHOICES[field]) { if (CHOICES[field].includes(text)) state[field] = text; }
    else if (Number(text) > 0 && Number.isFinite(Number(text))) state[field] = Number(text);
  }
  state.flops = Math.min(Math.max(state.flops, study.answers_range[0]), study.answers_range[1]);
  const models = study.models.indexOf(words.get("models"));
  state.models = models < 0 ? null : models;
  state.hidden = new Set(words.getAll("without").map((name) => study.strategies.indexOf(name)).filter((index) => index >= 0));
  state.price ??= device().usd_an_hour;
}

function writeUrl() {
  const words = new URLSearchParams();
  const usual = { ...DEFAULTS, price: device().usd_an_hour };
  for (const [field, name] of Object.entries(NAMES)) if (state[field] !== usual[field]) words.set(name, typeof state[field] === "number" ? exact(state[field]) : state[field]);
  if (state.models !== null) words.set("models", study.models[state.models]);
  for (const index of state.hidden) words.append("without", study.strategies[index]);
  const hash = [anchor, words.toString()].filter(Boolean).join("&");
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

/** One trace a strategy: of the chosen models, or of those that serve it best at the budget. */
function shownTraces() {
  return study.strategies.flatMap((_, strategy) => {
    const own = state.hidden.has(strategy) ? [] : study.traces.filter((trace) => trace.strategy === strategy);
    if (state.models !== null) return own.filter((trace) => trace.models === state.models);
    return own.length ? [best(own)] : [];
  });
}
