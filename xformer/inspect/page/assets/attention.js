// The first view: all heads, one head, the text, the heads' statistics.

registerView({
  id: "attention", title: "Attention", hint: "All heads, one head, and its numbers",
  available: page => page.meta.runs.some(run => run.texts.some(text => text.weights)),
  create: attentionView,
});

function attentionView(root, page, state) {
  const bar = toolbar(page, state);
  const list = headList(state, visible => overview.dim(visible));
  const overview = overviewMap({onchoose: (layer, head) => state.set({layer, head})});
  const heat = heatMap({onpoint: pointUnits, onclick: lockUnits});
  const arcs = arcMap({onpoint: pointUnits, onclick: lockUnits});
  const title = h("h2", {class: "head-title"});
  const legend = legendBar();
  const readout = h("p", {class: "readout"});
  const spoken = h("p", {class: "unseen", role: "status"});
  const facts = h("p", {class: "soft facts"});
  const notes = h("ul", {class: "soft notes"});
  const stripPlace = h("div", {class: "strip"});
  const drawing = h("div", {class: "drawing"});
  const sumsPlace = h("section", {class: "sums-place", "aria-label": "Arithmetic of the kept weight", hidden: true});
  const sums = createArithmetic(sumsPlace, page, state);
  const effectsPlace = h("section", {"aria-label": "Effects of ablated heads", hidden: !page.meta.runs.some(run => run.ablation)},
    h("h2", {}, "What the text loses with each head"));
  const effects = createAblation(effectsPlace, page, state);
  const detail = h("section", {class: "detail", "aria-label": "One head"},
    h("div", {class: "bar"}, title, exportButtons(() => shown && exported())), legend.element, readout, spoken, drawing, sumsPlace);
  root.append(facts, bar.element, stripPlace,
    h("div", {class: "split"},
      h("section", {class: "heads-part", "aria-label": "All heads"},
        h("div", {class: "bar"}, h("h2", {}, "Heads"), exportButtons(exportedOverview)),
        overview.element, h("p", {class: "soft note"}, "Layers down, heads across; each up to its own largest weight."), effectsPlace),
      detail,
      h("section", {class: "statistics-part", "aria-label": "Statistics of the heads"},
        h("div", {class: "bar"}, h("h2", {}, "Statistics"), exportButtons(exportedList)), list.element)),
    notes);

  let shown = null;  // the head on the screen: {text, units, unitOf, weights, m, largest, ...}
  let strip = null;
  let stripKey = "";
  let asked = 0;
  let drawnWidth = 0;

  function pointUnits(i, j) {
    if (!shown) return;
    state.set({token: i === null ? null : shown.units[i].tokens[0], key: j === null ? null : shown.units[j].tokens[0]});
  }
  function lockUnits(i, j) {
    const [locked, lockedKey] = [i, j].map(unit => unit === null ? null : shown.units[unit].tokens[0]);
    const now = state.get();
    state.set(now.locked === locked && now.lockedKey === lockedKey ? UNLOCKED : {locked, lockedKey});
  }

  const SUMS = ["run", "text", "layer", "head", "locked", "lockedKey", "view"];
  const WHAT = ["run", "text", "layer", "head", "units", "specials", "scale", "shape", "view"];

  async function load(now, changed) {
    const number = ++asked;
    const text = page.text(now.run, now.text);
    const run = page.run(now.run);
    const layer = Math.min(now.layer, run.layers - 1);
    const head = Math.min(now.head, run.heads - 1);
    if (changed.has("run") || changed.has("text") || changed.has("view")) await showText(now, run, text);
    if (!text.weights || number !== asked) return;
    const units = unitsOf(text, now.units === "words", now.specials === "shown");
    const whole = await page.weights(now.run, now.text, layer, head);
    if (number !== asked) return;  // another head was chosen meanwhile
    makeStrip(now, text, units);
    const weights = mergeWeights(whole, text.pieces.length, units, now.specials === "renormalised");
    const unitOf = new Int32Array(text.pieces.length).fill(-1);
    units.forEach((unit, place) => unit.tokens.forEach(token => { unitOf[token] = place; }));
    let most = 0;
    for (const weight of weights) most = Math.max(most, weight);
    shown = {
      text, units, unitOf, weights, m: units.length, layer, head, run, received: receivedBy(weights, units.length),
      largest: now.scale === "one" ? 1 : most, scale: now.scale, rtl: text.direction === "rtl",
      label: `Attention of layer ${layer}, head ${head}: ${units.length} ${now.units}, queries down, keys across.`,
    };
    title.textContent = `Layer ${layer} · head ${head}`;
    draw();
    const stats = await page.stats(now.run, now.text);
    const numbers = stats.names.map(name => `${name} ${figure(stats.at(name, layer, head))}`).join(", ");
    overview.choose(layer, head, numbers);
    if (changed.has("layer") || changed.has("head")) spoken.textContent = `Layer ${layer}, head ${head}: ${numbers}`;
  }

  async function showText(now, run, text) {
    facts.textContent = [run.name, ...run.facts.map(([name, value]) => `${value} ${name}`), `${text.pieces.length} tokens`].join(" · ");
    notes.replaceChildren(...notesOf(text).map(note => h("li", {}, note)));
    if (!text.weights) return;
    const {data} = await page.blob(text.weights.overview);
    drawnWidth = root.clientWidth;
    overview.show({
      bytes: data, side: text.weights.side, layers: run.layers, heads: run.heads, rtl: text.direction === "rtl",
    }, overview.element.parentElement.clientWidth);
    list.show(state.get(), run, await page.stats(now.run, now.text));
  }

  function makeStrip(now, text, units) {
    const key = [now.run, now.text, now.units, now.specials].join();
    if (key === stripKey) return;
    stripKey = key;
    strip?.end();
    strip = renderTokens(text, {
      units, label: "The text, by its tokens",
      onhover: unit => pointUnits(unit, null),
      onclick: unit => lockUnits(unit, null),
    });
    stripPlace.replaceChildren(strip.element);
  }

  function draw() {
    const map = state.get().shape === "arcs" ? arcs : heat;
    if (drawing.firstChild !== map.element) drawing.replaceChildren(map.element);
    map.show(shown, Math.max(260, Math.min(drawing.clientWidth, 900)));
    legend.show(shown);
    point(state.get());
  }

  /** What the pointer or the lock is on, drawn; nothing here asks for a layout. */
  function point(now) {
    if (!shown || !strip) return;
    const fixed = now.locked !== null || now.lockedKey !== null;
    const unitOf = token => token === null || !(shown.unitOf[token] >= 0) ? null : shown.unitOf[token];
    const [i, j] = (fixed ? [now.locked, now.lockedKey] : [now.token, now.key]).map(unitOf);
    (now.shape === "arcs" ? arcs : heat).point(i, j, fixed);
    strip.mark(unitOf(now.token), "hovered");
    strip.mark(fixed ? i ?? j : null, "locked");
    shadeText(now, i, j);
    const words = sentence(i, j);
    readout.textContent = words + (fixed ? "  (kept; Esc lets go)" : "");
    if (fixed && spoken.textContent !== words) spoken.textContent = words;
  }

  function shadeText(now, i, j) {
    const {weights, m, received} = shown;
    const values = new Float32Array(m);
    const asKey = now.flow === "to" || i === null;
    const token = asKey ? (i === null ? j : i) : i;
    let most = 0;
    for (let other = 0; other < m; other++) {
      values[other] = token === null ? received[other] : asKey ? weights[other * m + token] : weights[token * m + other];
      most = Math.max(most, values[other]);
    }
    if (most > 0) for (let other = 0; other < m; other++) values[other] /= most;
    strip.shade(values, shadeCss());
  }

  function sentence(i, j) {
    const {units, weights, m} = shown;
    // Each label keeps its own direction within the sentence (U+2068 … U+2069).
    const word = unit => `“\u2068${units[unit].label}\u2069”`;
    const name = unit => `${word(unit)} (${units[unit].tokens.join("+")})`;
    if (i !== null && j !== null) {
      const weight = weights[i * m + j];
      return `${name(i)} → ${name(j)}: ${figure(weight)}`;
    }
    const unit = i ?? j;
    if (unit === null) return "Point at a token or a weight; a click keeps it.";
    const pairs = Array.from({length: m}, (_, other) => [other, i === null ? weights[other * m + j] : weights[i * m + other]]);
    const top = pairs.sort((a, b) => b[1] - a[1]).slice(0, 4).map(([other, weight]) => `${word(other)} ${figure(weight)}`);
    return `${name(unit)} ${i === null ? "is looked at by" : "looks at"} ${top.join(", ")}`;
  }

  function exported() {
    const now = state.get();
    const map = now.shape === "arcs" ? arcs : heat;
    const {width, height} = now.shape === "arcs" ? arcs.size : heat.layout;
    const {text, units, weights, m, layer, head, run} = shown;
    return {
      name: `${run.name} layer ${layer} head ${head}`, width, height: height + 26,
      draw(pen) {
        pen.text(4, height + 14, `${run.name} · layer ${layer} · head ${head}: ${text.text.slice(0, 80)}`,
          {fill: colour("soft"), size: 11});
        map.draw(pen);
      },
      rows: () => [["query \\ key", ...units.map(unit => unit.label)],
        ...units.map((unit, i) => [unit.label, ...weights.slice(i * m, (i + 1) * m)])],
    };
  }
  function exportedOverview() {
    const {run, text} = state.get();
    const {layers, heads, name} = page.run(run);
    const {largest} = page.text(run, text).weights;
    return {
      name: `${name} heads`, ...overview.size, draw: pen => overview.draw(pen),
      rows: () => [["layer", "head", "largest weight"],
        ...Array.from({length: layers * heads}, (_, place) => [Math.floor(place / heads), place % heads])
          .map(([layer, head]) => [layer, head, largest[layer][head]])],
    };
  }
  function exportedList() {
    const rows = list.rows();
    const [columns, ...rest] = rows;
    const line = 16;
    return {
      name: `${page.run(state.get().run).name} statistics`, width: 20 + 74 * columns.length, height: line * rows.length + 12,
      draw(pen) {
        rows.forEach((row, place) => row.forEach((value, column) => pen.text(
          70 + 74 * column, 12 + line * place, typeof value === "number" ? figure(value) : value,
          {fill: colour("ink"), size: 11, anchor: "end", weight: place ? 400 : 600})));
      },
      rows: () => [columns, ...rest],
    };
  }

  new ResizeObserver(([entry]) => {
    const now = entry.contentRect.width;
    // Not here: what an observer changes in size would be told to it again in the same frame.
    if (now && drawnWidth && Math.abs(now - drawnWidth) >= 4) requestAnimationFrame(redraw);
  }).observe(root);
  const redraw = () => load(state.get(), new Set(["run"])).catch(console.error);
  onTheme(redraw);

  return {
    update(now, changed) {
      bar.update(now);
      list.update(now, changed);
      // A weight that is kept shows how it came about; one under the pointer would make the page jump.
      sumsPlace.hidden = now.locked === null || now.lockedKey === null || !page.run(now.run).arithmetic;
      if (!sumsPlace.hidden && SUMS.some(name => changed.has(name))) sums.update(now).catch(console.error);
      if (!effectsPlace.hidden) effects.update(now, changed);
      if (WHAT.some(name => changed.has(name))) load(now, changed).catch(console.error);
      else point(now);
    },
  };
}

function receivedBy(weights, m) {
  const found = new Float32Array(m);
  for (let i = 0; i < m; i++) for (let j = 0; j < m; j++) found[j] += weights[i * m + j] / m;
  return found;
}

/** A colour behind text: never so strong that the text on it is hard to read. */
function shadeCss() {
  const light = isDark() ? "86 162 203" : "47 116 191";
  return value => (SHADES[light] ??= Array.from({length: 65}, (_, step) => `rgb(${light} / ${0.6 * step / 64})`))[
    Math.round(64 * value)];
}
const SHADES = {};  // made once: colours as text take longer than what is drawn with them

/** What a reader must know about the numbers. */
function notesOf(text) {
  const notes = [...text.notes];
  const {weights} = text;
  if (!weights) return [...notes, "This run has no attention weights for the text."];
  const steps = weights.levels.flat().map(levels => levels + 1);
  const [least, most] = [Math.min(...steps), Math.max(...steps)];
  notes.push(least === 256
    ? `Weights are shown in 256 steps; none is off by more than ${figure(weights.error)}. Statistics are computed before that.`
    : `The text is long: to keep the file small, heads are shown in ${least === most ? least : `${least} to ${most}`} steps. `
      + `The largest difference from what was computed is ${figure(weights.error)}. Statistics are exact.`);
  if (weights.disagreement !== null) {
    notes.push("Weights are computed again from queries, keys and the log-sum-exp of each row. Times the values they differ "
      + `from what the fused kernel gave by at most ${figure(weights.disagreement)}.`);
  }
  return notes;
}

/** The colours and what they stand for: {element, show(head)}. */
function legendBar() {
  const canvas = h("canvas", {width: 256, height: 1, "aria-hidden": "true"});
  const to = h("span");
  return {
    element: h("p", {class: "colours soft"}, "0", canvas, to),
    show({largest, scale}) {
      const context = canvas.getContext("2d");
      const image = context.createImageData(256, 1);
      new Uint32Array(image.data.buffer).set(ramp().pixels);
      context.putImageData(image, 0, 0);
      to.textContent = figure(largest) + (scale === "root" ? ", on a scale of roots" : "");
    },
  };
}
