// One weight and how it comes about: q · k, scale, bias or rotation, score, softmax, the row's sum.
// A run's `arithmetic` has a part for each text; see arithmetic.py.

const ARITHMETIC_ABSENT = "The page has no queries and keys of this text. A page that xformer inspect page makes has them.";

/** Queries, keys and log-sum-exps of a layer, decoded: at(row, token, head) gives D numbers. */
async function loadArithmetic(page, part, layer) {
  const names = ["q", "k", "q_scale", "k_scale", "lse"];
  const found = await Promise.all(names.map(name => page.blob(part.layers[layer][name])));
  const [q, k, qScale, kScale, lse] = found.map(one => one.data);
  const [n, heads, width] = found[0].shape;
  const row = (values, scale) => (token, head) => {
    const place = token * heads + head;
    return Float64Array.from(values.subarray(place * width, (place + 1) * width), value => value * scale[place]);
  };
  const bias = part.bias === null ? null : (await page.blob(part.bias)).data;
  const half = part.windows[layer];
  return {
    n, heads, width,
    query: row(q, qScale),
    key: row(k, kScale),
    lse: (token, head) => lse[token * heads + head],
    bias: (head, distance) => bias ? bias[head * (2 * n - 1) + distance + n - 1] : 0,
    hidden: distance => half !== null && Math.abs(distance) > half,
    base: part.rotary ? part.rotary[layer] : null,
  };
}

/** A vector before its rotation: pair (m, m + D/2) is turned back by `position · base^(-2m/D)`. */
function unrotated(vector, position, base) {
  const half = vector.length / 2;
  const found = new Float64Array(vector.length);
  for (let m = 0; m < half; m++) {
    const angle = position * base ** (-m / half);
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    found[m] = vector[m] * cos + vector[m + half] * sin;
    found[m + half] = vector[m + half] * cos - vector[m] * sin;
  }
  return found;
}

function products(a, b) {
  return a.map((value, place) => value * b[place]);
}

function total(values) {
  return values.reduce((sum, value) => sum + value, 0);
}

/** All numbers of one weight, query i and key j. */
function weightArithmetic(layer, part, head, i, j) {
  const [q, k] = [layer.query(i, head), layer.key(j, head)];
  const parts = products(q, k);
  const dot = total(parts);
  const bias = layer.bias(head, j - i);
  const score = part.scale * dot + bias;
  const told = {dot, parts, scaled: part.scale * dot, bias, score, lse: layer.lse(i, head), hidden: layer.hidden(j - i)};
  told.weight = told.hidden ? 0 : Math.exp(score - told.lse);
  if (layer.base !== null) {
    told.partsBefore = products(unrotated(q, i, layer.base), unrotated(k, j, layer.base));
    told.dotBefore = total(told.partsBefore);
  }
  return told;
}

/** The weights of a row, one for each key. */
function rowArithmetic(layer, part, head, i) {
  const q = layer.query(i, head);
  return Float64Array.from({length: layer.n}, (_, j) => {
    if (layer.hidden(j - i)) return 0;
    return Math.exp(part.scale * total(products(q, layer.key(j, head))) + layer.bias(head, j - i) - layer.lse(i, head));
  });
}

/** What the numbers say, as [name, formula, value] lines. */
function arithmeticLines(told, part, i, j) {
  const distance = j - i;
  const four = value => value.toFixed(4).replace("-", "−");
  const signed = value => (value < 0 ? "− " : "+ ") + Math.abs(value).toFixed(4);
  const lines = [];
  if (told.dotBefore !== undefined) {
    lines.push(["q · k before rotation", "Σ q[d] · k[d], no position yet", four(told.dotBefore)]);
    lines.push(["q · k after rotation", `pairs turned by their frequency times the distance ${distance}`, four(told.dot)]);
  } else {
    lines.push(["q · k", "Σ q[d] · k[d]", four(told.dot)]);
  }
  lines.push(["× scale", `${four(told.dot)} × ${four(part.scale)}, the scale 1/√D`, four(told.scaled)]);
  if (part.bias !== null) {
    const kind = {alibi: "ALiBi: − slope · distance", t5: "T5: learned for the distance"}[part.positions] ?? part.positions;
    lines.push(["+ bias", `${four(told.scaled)} ${signed(told.bias)} (${kind}, distance ${distance})`, four(told.score)]);
  }
  if (told.hidden) {
    lines.push(["hidden", `the key is ${Math.abs(distance)} tokens away, outside the layer’s window: exp(−∞)`, "0"]);
    return lines;
  }
  lines.push(["score − log-sum-exp of the row", `${four(told.score)} ${signed(-told.lse)}`, four(told.score - told.lse)]);
  lines.push(["weight", `exp(${four(told.score - told.lse)})`, four(told.weight)]);
  return lines;
}

/** Two rows of bars: what each coordinate adds to q · k, before and after the rotation. */
function productBars(told) {
  const rows = told.partsBefore ? [["before rotation", told.partsBefore], ["after rotation", told.parts]] : [["q[d] · k[d]", told.parts]];
  const most = Math.max(...rows.flatMap(([, values]) => [...values].map(Math.abs)), 1e-12);
  const width = 640, height = 84, left = 8;
  const step = (width - left) / told.parts.length;
  const draw = pen => rows.forEach(([name, values], number) => {
    const middle = number * height + 50;
    pen.text(left, number * height + 8, `${name}: what each coordinate adds, sum ${figure(total(values))}`, {fill: colour("soft"), size: 12});
    values.forEach((value, d) => {
      const size = 32 * Math.abs(value) / most;
      pen.rect(left + d * step, value < 0 ? middle : middle - size, Math.max(1, step - 1), size,
        {fill: colour(value < 0 ? "s1" : "s0")});
    });
    pen.path(`M${left} ${middle}H${width}`, {stroke: colour("rule")});
  });
  return {
    name: "arithmetic", width, height: rows.length * height, draw,
    rows: () => [["coordinate", ...rows.map(([name]) => name)],
      ...Array.from(told.parts, (_, d) => [d, ...rows.map(([, values]) => values[d])])],
  };
}

/** The panel; `root` gets it, and it follows the state. Also used below the map of a head. */
function createArithmetic(root, page, state) {
  const lines = h("tbody");
  const bars = h("div", {class: "bars"});
  const keys = h("div", {class: "row-keys"});
  const note = h("p", {class: "note", "aria-live": "polite"});
  const sentence = h("p", {class: "said", "aria-live": "polite"});
  const body = h("div", {class: "arithmetic"}, sentence,
    h("div", {class: "scroll"}, h("table", {class: "sums"}, h("caption", {}, "The weight’s arithmetic"),
      h("thead", {}, h("tr", {}, h("th", {}, "step"), h("th", {}, "what is computed"), h("th", {class: "number"}, "result"))), lines)),
    bars, keys, note);
  const absent = h("div");
  root.append(absent, body);
  let picture = null;
  const turn = latest();
  const saves = exportButtons(() => picture);

  const update = async now => {
    const mine = turn.next();
    const part = partOf(page, state, "arithmetic", ARITHMETIC_ABSENT);
    body.hidden = Boolean(part.why);
    absent.replaceChildren();
    if (part.why) { showAbsent(absent, part.why); return; }
    const [i, j] = [now.locked ?? now.token ?? 0, now.lockedKey ?? now.key ?? now.locked ?? now.token ?? 0];
    const [number, head] = headOf(page, now);
    const layer = await loadArithmetic(page, part, number);
    const stored = page.text(now.run, now.text).weights ? await page.weights(now.run, now.text, number, head) : null;
    if (!turn.is(mine) || i >= layer.n || j >= layer.n) return;
    const told = weightArithmetic(layer, part, head, i, j);
    const labels = tokenLabels(page.text(now.run, now.text)).map(partLabel);
    const name = token => h("bdi", {class: "piece"}, labels[token]);
    sentence.replaceChildren(`Layer ${number}, head ${head}: how much `, name(i),
      ` (token ${i}) takes from `, name(j), ` (token ${j})`);
    lines.replaceChildren(...arithmeticLines(told, part, i, j).map(([step, formula, value]) =>
      h("tr", {}, h("th", {scope: "row"}, step), h("td", {}, formula), h("td", {class: "number"}, value))));
    picture = productBars(told);
    const svg = s("svg", {viewBox: `0 0 ${picture.width} ${picture.height}`, role: "img",
      "aria-label": `What each of the ${told.parts.length} coordinates adds to q · k`});
    picture.draw(svgPen(svg));
    bars.replaceChildren(svg, saves);
    showRow(keys, rowArithmetic(layer, part, head, i), i, j, labels, state);
    const rounding = `Queries and keys are kept as ${part.kind}: a score is off by at most ${figure(part.error.score)}, a weight by at most ${figure(part.error.weight)}.`;
    const shown = stored ? ` The map shows ${stored[i * layer.n + j].toFixed(4)}, off by at most ${figure(page.text(now.run, now.text).weights.error)}.` : "";
    note.textContent = rounding + shown;
  };
  onTheme(() => { if (!body.hidden && root.isConnected) update(state.get()); });
  return {update};
}

/** The largest weights of a row, the rest, and their sum; a click takes another key. */
function showRow(root, row, i, j, labels, state) {
  const most = 12;
  const order = Array.from(row.keys()).sort((a, b) => row[b] - row[a]);
  const top = order.slice(0, most);
  if (!top.includes(j)) top.splice(-1, 1, j);
  const rest = total(row) - top.reduce((sum, key) => sum + row[key], 0);
  const line = key => h("li", {}, h("button", {
    type: "button", class: "bar-row", "aria-current": key === j ? "true" : null,
    onclick: () => state.set({locked: i, lockedKey: key}),
  }, h("bdi", {class: "piece"}, labels[key]), h("span", {class: "number"}, row[key].toFixed(4)),
    h("span", {class: "length", style: `width: ${(100 * row[key] / Math.max(row[order[0]], 1e-12)).toFixed(1)}%`, role: "presentation"})));
  root.replaceChildren(
    h("p", {}, "The row: where token ", h("bdi", {class: "piece"}, labels[i]), ` looks, the largest first (${top.length} of ${row.length} keys).`),
    h("ol", {class: "row-list"}, ...top.map(line)),
    h("p", {}, `${row.length > top.length ? `The other ${row.length - top.length}: ${rest.toFixed(4)}. ` : ""}The row’s sum: ${total(row).toFixed(4)}, which would be 1 without rounding.`));
}

registerView({
  id: "arithmetic",
  title: "Arithmetic",
  hint: "How one attention weight comes about, number by number",
  available: () => true,
  create(root, page, state) {
    const subject = subjectChoices(page, state);
    const heads = headChoices(page, state);
    const strips = h("div", {class: "strips"});
    const panel = h("div");
    root.append(h("form", {class: "choices", onsubmit: event => event.preventDefault()}, ...subject.elements, heads.element), strips, panel);
    const sums = createArithmetic(panel, page, state);
    let queries = null, keys = null, shown = "";
    return {
      update(now, changed) {
        subject.update(now);
        heads.update(now);
        if (shown !== `${now.run} ${now.text}`) {
          shown = `${now.run} ${now.text}`;
          const text = page.text(now.run, now.text);
          queries = renderTokens(text, {label: "Query token", onclick: unit => state.set({locked: unit})});
          keys = renderTokens(text, {label: "Key token", onclick: unit => state.set({lockedKey: unit})});
          strips.replaceChildren(h("p", {class: "note"}, "Query: the token that looks"), queries.element,
            h("p", {class: "note"}, "Key: the token that is looked at"), keys.element);
        }
        queries.mark(now.locked ?? 0, "locked");
        keys.mark(now.lockedKey ?? now.locked ?? 0, "locked");
        if (["run", "text", "layer", "head", "locked", "lockedKey", "view"].some(name => changed.has(name))) sums.update(now);
      },
    };
  },
});
