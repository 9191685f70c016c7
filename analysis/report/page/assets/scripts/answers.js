// The two tables below the figure: the error at a budget, as `predict` says it, and the budget of an error, as
// `recommend --cer` does.

function nameCell(trace) {
  const cell = html("td");
  cell.append(html("span", "", `swatch s${trace.style}`), trace.label);
  return cell;
}

const unknown = (text, columns) => Object.assign(html("td", text, "quiet"), { colSpan: columns });

function fillPredictions(traces) {
  const expected = (row) => row ? row[EXPECTED] ?? row[CER] : Infinity;
  const rows = traces.map((trace) => [trace, at(trace, bought(trace))]).sort((a, b) => expected(a[1]) - expected(b[1]));
  const calibrated = rows.some(([, row]) => row && row[CALIBRATED_LOW] !== null);
  byId("calibrated").hidden = !calibrated;
  byId("predictions").replaceChildren(...rows.map(([trace, row]) => {
    const line = html("tr");
    line.append(nameCell(trace));
    if (!row) line.append(unknown(trace.law.length ? "beyond what its runs can say" : "too few budgets for an answer", calibrated ? 5 : 4));
    else line.append(...predictionCells(trace, row, calibrated));
    return line;
  }));
  nameCells(byId("predictions").closest("table"));
}

/** CER, interval of a new run, the calibrated one, how far, and what it takes: far beyond the runs an answer is a range, and no number. */
function predictionCells(trace, row, calibrated) {
  const times = extrapolation(trace, row[FLOPS]), far = times > study.far, digits = far ? 2 : 3;
  const doubt = trace.status === "ok" ? "" : `; ${trace.status_text}`;
  const reach = times > 1.005 ? `${number(times, 2)} times the largest run` : row[FLOPS] < trace.smallest_flops * 0.995 ? "below the smallest run" : "within the runs";
  return [html("td", far && row[RUN_LOW] !== null ? "no number so far away" : number(row[CER]), "number"),
    html("td", between([row[RUN_LOW], row[RUN_HIGH]], digits), "number"),
    ...(calibrated ? [html("td", between([row[CALIBRATED_LOW], row[CALIBRATED_HIGH]], digits), "number")] : []),
    html("td", reach + doubt, times > 1.005 || doubt ? "beyond" : ""),
    html("td", state.unit === "flops" ? price(row[FLOPS], trace) : `${short(row[FLOPS])} FLOPs, ${price(row[FLOPS], trace)}`)];
}

function fillPrices() {
  const rows = pricedTraces().sort((a, b) => a[1] - b[1]);
  byId("prices").replaceChildren(...rows.map(([trace, flops]) => {
    const line = html("tr");
    line.append(nameCell(trace));
    if (!(flops > 0 && flops <= study.very_far * trace.largest_flops)) {
      const text = flops === 0 ? `reached with fewer than ${short(trace.law[0][FLOPS])} FLOPs` : trace.law.length ? `not reached with ${study.very_far} times the largest run` : "too few budgets for an answer";
      line.append(unknown(text, 4));
    } else line.append(html("td", short(flops), "number"), html("td", needed(trace), "number"),
      html("td", duration(inUnit(flops, trace, "hours")), "number"), html("td", money(inUnit(flops, trace, "usd")), "number"));
    return line;
  }));
  nameCells(byId("prices").closest("table"));
}

/** Each strategy with the FLOPs that it needs: of the chosen models, or of those that need least. */
function pricedTraces() {
  return study.strategies.flatMap((_, strategy) => {
    const own = study.traces.filter((trace) => trace.strategy === strategy && !state.hidden.has(strategy) && (state.models === null || trace.models === state.models));
    const priced = own.map((trace) => [trace, trace.law.length ? crossing(trace, CER, state.cer) : Infinity]);
    return priced.length ? [priced.reduce((a, b) => b[1] < a[1] ? b : a)] : [];
  });
}

/** The FLOPs at which the interval of the curve holds the error that is wanted. */
function needed(trace) {
  const [low, high] = [crossing(trace, CURVE_LOW, state.cer), crossing(trace, CURVE_HIGH, state.cer)];
  const upper = Number.isFinite(high) ? short(high) : null;
  if (low === 0) return upper ? `below ${upper}` : "not known";
  return upper ? `${short(low)} to ${upper}` : `above ${short(low)}`;
}
