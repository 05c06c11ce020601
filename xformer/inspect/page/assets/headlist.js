// The heads as a table: their statistics, sorted by a click on a column's name, chosen by conditions.
//
// A filter is conditions that must all hold, as in `layer=2 previous>0.5 entropy<1`.

const CONDITION = /^([\p{L}_]+)(<=|>=|<|>|=)(-?[\d.]+)$/u;
const HOLDS = {
  "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b,
  "=": (a, b) => Math.abs(a - b) < 1e-9,
};

/** {conditions, error}: what a filter asks for, and what of it cannot be read. */
function readFilter(text, names) {
  const conditions = [];
  for (const term of text.replace(/\s*(<=|>=|<|>|=)\s*/g, "$1").split(/\s+/).filter(Boolean)) {
    const found = CONDITION.exec(term);
    if (!found || !Number.isFinite(Number(found[3]))) {
      return {conditions, error: `${term}: expected a condition, as previous>0.5`};
    }
    const name = names.find(one => one === found[1].toLowerCase());
    if (!name) return {conditions, error: `${found[1]}: the columns are ${names.join(", ")}`};
    conditions.push([name, HOLDS[found[2]], Number(found[3])]);
  }
  return {conditions, error: ""};
}

/** {element, show(run, stats), update(now, changed)}; `onvisible(Set | null)` tells which heads are listed. */
function headList(state, onvisible) {
  const field = h("input", {
    type: "search", size: "28", placeholder: "previous>0.5 entropy<1", autocomplete: "off", spellcheck: "false",
    oninput: () => state.set({filter: field.value}),
  });
  const found = h("output", {class: "soft", "aria-live": "polite"});
  const head = h("tr");
  const body = h("tbody");
  const element = h("div", {class: "headlist"},
    h("div", {class: "bar"}, h("label", {}, "Show heads with", field), found),
    h("div", {class: "scroll"}, h("table", {}, h("thead", {}, head), body)));
  let rows = [];
  let columns = [];

  const fill = (now, run, stats) => {
    columns = ["layer", "head", ...stats.names];
    const labels = ["Counted from 0, as in the names of activations.", "Counted from 0.", ...stats.labels];
    head.replaceChildren(...columns.map((name, place) => h("th", {scope: "col", class: "number", title: labels[place]},
      h("button", {type: "button", "data-column": name, onclick: () => state.set({
        sort: name, down: state.get().sort === name ? !state.get().down : place > 1,
      })}, name))));
    rows = [];
    for (let layer = 0; layer < run.layers; layer++) {
      for (let number = 0; number < run.heads; number++) {
        const values = {layer, head: number};
        for (const name of stats.names) values[name] = stats.at(name, layer, number);
        rows.push({layer, head: number, values});
      }
    }
    const most = {};
    for (const name of stats.names) most[name] = Math.max(...rows.map(row => row.values[name]).filter(Number.isFinite), 1e-9);
    for (const row of rows) {
      row.element = h("tr", {onclick: () => state.set({layer: row.layer, head: row.head})},
        ...columns.map(name => {
          if (name === "layer") return h("td", {class: "number"}, row.layer);
          if (name === "head") {
            return h("td", {class: "number"}, h("button", {
              type: "button", class: "plain", "aria-label": `Layer ${row.layer}, head ${row.head}`,
            }, row.head));
          }
          const part = 100 * (row.values[name] || 0) / most[name];  // NaN: there is no such number
          return h("td", {class: "number bar-cell", style: `--part: ${part.toFixed(1)}%`}, figure(row.values[name]));
        }));
    }
    order(now);
    sift(now);
  };

  const order = now => {
    const name = columns.includes(now.sort) ? now.sort : "layer";
    const way = now.down ? -1 : 1;
    const value = row => Number.isNaN(row.values[name]) ? -Infinity : row.values[name];
    const sorted = [...rows].sort((a, b) =>
      way * Math.sign(value(a) - value(b) || 0) || a.layer - b.layer || a.head - b.head);
    body.replaceChildren(...sorted.map(row => row.element));
    for (const cell of head.cells) {
      const chosen = cell.firstChild.dataset.column === name;
      if (chosen) cell.setAttribute("aria-sort", now.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
  };

  const sift = now => {
    const {conditions, error} = readFilter(now.filter, columns);
    if (field.value !== now.filter) field.value = now.filter;
    const heads = 1 + Math.max(...rows.map(row => row.head));
    const visible = new Set();
    for (const row of rows) {
      row.element.hidden = !conditions.every(([name, holds, value]) => holds(row.values[name], value));
      if (!row.element.hidden) visible.add(row.layer * heads + row.head);
    }
    field.setAttribute("aria-invalid", Boolean(error));
    found.textContent = error || `${visible.size} of ${rows.length}`;
    onvisible(visible.size === rows.length ? null : visible);
  };

  const choose = now => {
    for (const row of rows) {
      const chosen = row.layer === now.layer && row.head === now.head;
      row.element.classList.toggle("ours", chosen);
      row.element.setAttribute("aria-selected", chosen);
    }
  };

  return {
    element,
    show(now, run, stats) {
      fill(now, run, stats);
      choose(now);
    },
    update(now, changed) {
      if (changed.has("sort") || changed.has("down")) order(now);
      if (changed.has("filter")) sift(now);
      if (changed.has("layer") || changed.has("head")) choose(now);
    },
    rows: () => [columns, ...[...body.rows].filter(one => !one.hidden).map(one => {
      const row = rows.find(other => other.element === one);
      return columns.map(name => row.values[name]);
    })],
  };
}
