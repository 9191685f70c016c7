// Tables that sort by a click on a column's title, become cards on a phone, and can be taken along as CSV.

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = html("button", head.textContent);
    button.type = "button";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const order = (a, b) => (value(a) === "" ? 1 : value(b) === "" ? -1
        : (down ? -1 : 1) * (Number(value(a)) - Number(value(b)) || String(value(a)).localeCompare(String(value(b)))));
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
    });
  });
}

/** Each cell says its column, for screens on which the columns do not fit. */
function nameCells(table) {
  const titles = [...table.tHead.rows[0].cells].filter((head) => !head.hidden).map((head) => head.textContent.trim());
  for (const row of table.tBodies[0].rows) [...row.cells].forEach((cell, column) => {
    const inner = html("span");
    inner.append(...cell.childNodes);
    cell.dataset.title = titles[column];
    if (inner.textContent.trim() || inner.children.length) cell.append(inner);
  });
  table.classList.add("cards");
}

const PHONE = matchMedia("(max-width: 44rem)");
document.querySelectorAll("main table").forEach((table) => {
  if (!table.closest(".ask")) nameCells(table);
});
document.querySelectorAll("table.sortable").forEach((table) => {
  sortable(table);
  const button = html("button", "download as CSV");
  button.type = "button";
  button.addEventListener("click", () => saveCsv(`${study.name}-runs.csv`, tableRows(table)));
  table.closest(".wide").after(button);
  table.closest("details").open = !PHONE.matches; // as cards, a row of every run is many screens long
});
