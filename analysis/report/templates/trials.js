"use strict";
// The table of trials: all rows stay in columns of numbers; only a page of them is ever in the document.
const PAGE_ROWS = 25;
const DELAY_MS = 120;

(function showTrials() {
  const { rows, columns } = JSON.parse(document.getElementById("trial-data").textContent);
  const found = (id) => document.getElementById(id);
  const table = found("trial-table");
  const form = found("trial-filters");
  const best = columns.find((column) => column.down);
  const measured = (column) => column.key === "score" || column.key === "gain"; // of others than complete trials on fewer rows
  const ends = columns.find((column) => column.key === "state");
  const complete = ends.texts.indexOf("complete");
  const state = { sort: best, down: true, page: 0, order: [] };
  const chosen = new Map();
  let searched = null;

  const make = (name, attributes = {}, text = null) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== null) made.textContent = text;
    return made;
  };
  const shown = (column, row) => {
    const value = column.values[row];
    if (value === null) return "–";
    if (column.texts) return column.texts[value];
    if (column.key === "rate") return String(value);
    const text = value.toFixed(column.digits);
    if (!column.spread) return text;
    return (value > 0 ? "+" : "") + text + (column.spread[row] === null ? "" : " ± " + column.spread[row].toFixed(column.digits));
  };

  function searchedTexts() {
    if (searched === null) {
      const texts = columns.filter((column) => column.texts);
      searched = Array.from({ length: rows }, (_, row) => texts.map((column) => shown(column, row)).join(" ").toLowerCase());
    }
    return searched;
  }

  function chooseRows() {
    const words = found("trial-find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const texts = words.length ? searchedTexts() : null;
    const order = [];
    for (let row = 0; row < rows; row++) {
      let fits = true;
      for (const [column, value] of chosen) if (column.values[row] !== value) { fits = false; break; }
      if (fits && texts) fits = words.every((word) => texts[row].includes(word));
      if (fits) order.push(row);
    }
    state.order = order;
  }

  function sortRows() {
    const column = state.sort;
    let keys = column.values;
    if (column.texts) {
      const ranked = column.texts.map((_, place) => place).sort((one, other) => column.texts[one].localeCompare(column.texts[other], undefined, { numeric: true }));
      const rank = new Array(ranked.length);
      ranked.forEach((place, number) => { rank[place] = number; });
      keys = column.values.map((place) => place === null ? null : rank[place]);
    }
    const sign = state.down ? -1 : 1;
    const whole = (row) => ends.values[row] === complete;
    state.order.sort((one, other) => {
      if (measured(column) && whole(one) !== whole(other)) return whole(one) ? -1 : 1;
      const a = keys[one], b = keys[other];
      if (a === b) return one - other;
      if (a === null) return 1;
      if (b === null) return -1;
      return a < b ? -sign : sign;
    });
  }

  function drawPage() {
    const pages = Math.max(1, Math.ceil(state.order.length / PAGE_ROWS));
    state.page = Math.min(state.page, pages - 1);
    const first = state.page * PAGE_ROWS;
    const body = document.createDocumentFragment();
    for (const row of state.order.slice(first, first + PAGE_ROWS)) {
      const line = make("tr");
      for (const column of columns) line.append(make("td", { class: classOf(column) }, shown(column, row)));
      body.append(line);
    }
    table.tBodies[0].replaceChildren(body);
    for (const [number, head] of [...table.tHead.rows[0].cells].entries()) {
      const sorted = columns[number] === state.sort;
      head.setAttribute("aria-sort", sorted ? (state.down ? "descending" : "ascending") : "none");
    }
    const last = Math.min(first + PAGE_ROWS, state.order.length);
    const range = state.order.length ? `${(first + 1).toLocaleString("en")} to ${last.toLocaleString("en")} of ` : "";
    const all = state.order.length < rows ? ` that fit, of ${rows.toLocaleString("en")} in all` : "";
    found("trial-status").textContent = `Trials ${range}${state.order.length.toLocaleString("en")}${all}, by ${state.sort.label}${state.down ? ", largest first" : ""}${measured(state.sort) && ends.texts.length > 1 ? ", complete trials before others" : ""}.`;
    found("page-number").textContent = `Page ${state.page + 1} of ${pages.toLocaleString("en")}`;
    found("trial-pages").hidden = pages < 2;
    for (const [id, at] of [["page-first", 0], ["page-back", 0], ["page-next", pages - 1], ["page-last", pages - 1]]) found(id).disabled = state.page === at;
  }

  const classOf = (column) => `${column.key} ${column.texts ? "text" : "number"}${column.wide ? " wide" : ""}${column.narrow ? " narrow" : ""}`;
  const refresh = () => { chooseRows(); sortRows(); state.page = 0; drawPage(); };

  const heads = make("tr");
  for (const column of columns) {
    const head = make("th", { scope: "col", class: classOf(column), "aria-sort": "none" });
    const button = make("button", { type: "button" }, column.label);
    button.addEventListener("click", () => {
      state.down = state.sort === column ? !state.down : column.down;
      state.sort = column;
      refresh();
    });
    head.append(button);
    heads.append(head);
  }
  table.tHead.replaceChildren(heads);

  for (const column of columns.filter((each) => each.filtered)) {
    const values = [...new Set(column.values)];
    if (values.length < 2) continue;
    const label = make("label", {}, column.label + " ");
    const select = make("select", { "data-column": column.key });
    select.append(make("option", { value: "" }, "all"));
    const texts = values.map((value) => [value, column.texts ? column.texts[value] : String(value)]);
    texts.sort((one, other) => one[1].localeCompare(other[1], undefined, { numeric: true }));
    for (const [value, text] of texts) select.append(make("option", { value: String(value) }, text));
    select.addEventListener("change", () => {
      if (select.value === "") chosen.delete(column);
      else chosen.set(column, Number(select.value));
      refresh();
    });
    label.append(select);
    form.append(label);
  }
  let waiting = 0;
  found("trial-find").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(refresh, DELAY_MS); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  const turn = (id, to) => found(id).addEventListener("click", () => { state.page = to(); drawPage(); });
  const pages = () => Math.ceil(state.order.length / PAGE_ROWS);
  turn("page-first", () => 0);
  turn("page-back", () => state.page - 1);
  turn("page-next", () => state.page + 1);
  turn("page-last", () => pages() - 1);
  refresh();
})();
