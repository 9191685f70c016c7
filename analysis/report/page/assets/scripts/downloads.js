// Files that the page makes: the picture as PNG, what it shows as CSV, and any table as CSV.

function save(name, blob) {
  const link = html("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const quoted = (value) => /[",\n]/.test(String(value ?? "")) ? `"${String(value).replaceAll('"', '""')}"` : String(value ?? "");
const saveCsv = (name, rows) => save(name, new Blob([rows.map((row) => row.map(quoted).join(",") + "\n").join("")], { type: "text/csv" }));

/** Measured points, tested forecasts and laws of what is shown, a row each. */
function plotRows() {
  const head = ["kind", "strategy", "models", "flops", "cer", "low", "high", "curve_low", "curve_high", "run_low", "run_high"];
  return [head, ...drawn.traces.flatMap((trace) => {
    const name = [study.strategies[trace.strategy], study.models[trace.models]];
    const tested = study.forecasts.filter((one) => study.traces[one.trace] === trace);
    return [
      ...trace.points.map((point) => [point.set_aside ? "set aside" : "measured", ...name, point.flops, point.cer, point.low, point.high]),
      ...tested.map((one) => ["forecast run", ...name, one.flops, one.truth, "", "", "", "", ...(one.interval ?? [])]),
      ...drawnRows(trace, trace.smallest_flops, trace.drawn_to).map((row) => ["law", ...name, ...row.slice(FLOPS, CER + 1), "", "", ...row.slice(CURVE_LOW, RUN_HIGH + 1)]),
    ];
  })];
}

/** The rows of a table: numbers with all their digits and keys in full, where the page shows fewer. */
const tableRows = (table) => [...table.rows].map((row) => [...row.cells].map((cell) => cell.dataset.value || cell.title || cell.textContent.trim()));

/** The picture with its legend, twice as fine as on the screen, in the colours of the screen. */
async function savePng() {
  const { width, height, traces } = drawn, strip = 22 * traces.length + 8, copy = drawn.picture.cloneNode(true);
  const from = [drawn.picture, ...drawn.picture.querySelectorAll("*")], to = [copy, ...copy.querySelectorAll("*")];
  from.forEach((node, k) => paint(getComputedStyle(node), to[k]));
  const whole = element("svg", { xmlns: "http://www.w3.org/2000/svg", width, height: height + strip, viewBox: `0 ${-strip} ${width} ${height + strip}` });
  const root = getComputedStyle(document.documentElement);
  whole.append(element("rect", { x: 0, y: -strip, width, height: height + strip, fill: root.backgroundColor }), ...legendNodes(traces, strip, root), copy);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(whole))}`;
  await image.decode();
  const canvas = Object.assign(html("canvas"), { width: 2 * width, height: 2 * (height + strip) });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  canvas.toBlob((blob) => save(`${study.name}.png`, blob), "image/png");
}

function paint(style, node) {
  for (const name of ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-family", "font-size"]) node.style.setProperty(name, style.getPropertyValue(name));
}

function legendNodes(traces, strip, root) {
  const colour = (trace) => root.getPropertyValue(`--s${trace.style}`);
  return traces.flatMap((trace, k) => {
    const y = 22 * k + 18 - strip;
    return [element("path", { d: MARKS[trace.mark], fill: colour(trace), transform: `translate(${margin.left} ${y - 4})` }),
      element("text", { x: margin.left + 12, y, fill: root.color, "font-size": 13, "font-family": root.fontFamily }, trace.label)];
  });
}
