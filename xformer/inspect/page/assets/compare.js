// Two runs, or two checkpoints, on the same text: which heads differ, and two heads side by side. See compare.py.

const COMPARE_ABSENT = "The page has one model alone. Give another run, or other checkpoints of this one:";

/** Attention between the segments that both models' tokens fill: S × (S + 1), the last column special tokens. */
function toSegments(weights, of, count) {
  const n = of.length;
  const found = new Float32Array(count * (count + 1));
  const sizes = new Float32Array(count);
  for (const segment of of) if (segment < count) sizes[segment]++;
  for (let i = 0; i < n; i++) {
    if (of[i] >= count) continue;
    for (let j = 0; j < n; j++) found[of[i] * (count + 1) + of[j]] += weights[i * n + j] / sizes[of[i]];
  }
  return found;
}

/** A map of segments that draws itself: {name, width, height, draw(pen), rows()}. */
function segmentMap(name, values, labels, kind, most, rtl) {
  const rows = labels.length, columns = labels.length + 1;
  const across = j => rtl ? columns - 1 - j : j;  // keys run as the text does
  const size = Math.max(2, Math.min(26, Math.floor(330 / columns)));
  const named = size >= 11;
  const longest = Math.max(8, ...labels.map(label => abbreviated(label, 11).length));
  const [left, top] = named ? [12 + 7 * longest, 12 + 6 * longest] : [6, 6];
  const share = value => kind === "diverging" ? 0.5 + value / most / 2 : value / most;
  const heads = [...labels, "(others)"];
  return {
    name, width: left + columns * size + (named ? 50 : 6), height: top + rows * size + 4,
    draw(pen) {
      const {pixels} = ramp(kind);
      const canvas = h("canvas", {width: columns, height: rows});
      const context = canvas.getContext("2d");
      const image = context.createImageData(columns, rows);
      const cells = new Uint32Array(image.data.buffer);
      for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) {
        cells[i * columns + across(j)] = pixels[Math.round(255 * Math.min(1, Math.max(0, share(values[i * columns + j]))))];
      }
      context.putImageData(image, 0, 0);
      pen.bitmap(left, top, columns * size, rows * size, canvas);
      if (!named) return;
      labels.forEach((label, i) => pen.text(left - 5, top + (i + 0.5) * size, abbreviated(label, 11), {fill: colour("ink"), anchor: "end", size: 11}));
      heads.forEach((label, j) => pen.text(left + (across(j) + 0.5) * size, top - 5, abbreviated(label, 11),
        {fill: colour(j < rows ? "ink" : "soft"), size: 11, turn: -60}));
    },
    rows: () => [["query", ...heads], ...labels.map((label, i) => [label, ...values.slice(i * columns, (i + 1) * columns)])],
    at: (x, y) => {
      const [j, i] = [across(Math.floor((x - left) / size)), Math.floor((y - top) / size)];
      return i >= 0 && i < rows && j >= 0 && j < columns ? {i, j, value: values[i * columns + j], words: `${labels[i]} → ${heads[j]}`} : null;
    },
  };
}

/** A picture on a canvas, sharp on any screen; `hover` is told of the cell under the pointer. */
function showPicture(picture, label, hover) {
  const sharp = window.devicePixelRatio || 1;
  const canvas = h("canvas", {
    width: Math.ceil(picture.width * sharp), height: Math.ceil(picture.height * sharp), role: "img", "aria-label": label,
    style: `width: ${picture.width}px; height: ${picture.height}px`,
  });
  const context = canvas.getContext("2d");
  context.scale(sharp, sharp);
  picture.draw(canvasPen(context));
  canvas.addEventListener("pointermove", event => hover?.(picture.at(event.offsetX, event.offsetY)));
  canvas.addEventListener("pointerleave", () => hover?.(null));
  return canvas;
}

registerView({
  id: "compare",
  title: "Compare",
  hint: "Two runs or checkpoints on the same text",
  available: () => true,
  create(root, page, state) {
    const absent = h("div");
    const body = h("div");
    root.append(absent, body);
    const others = page.meta.runs.map((run, number) => [run, number]).filter(([run]) => run.compare).map(([, number]) => number);
    if (!others.length) {
      showAbsent(absent, COMPARE_ABSENT, "xformer inspect page RUN TEXT --compare OTHER_RUN");
      return {};
    }
    return createCompare(body, page, state, others);
  },
});

function createCompare(root, page, state, others) {
  let theirs = null, distance = null, shape = null, grid = null, inGrid = "";
  const numbers = count => Array.from({length: count}, (_, one) => [one, String(one)]);
  const texts = subjectChoices(page, state).elements[1];
  const run = choice("Compared with", others.map(number => [number, page.run(number).name]), value => {
    theirs = null;
    state.set({other: value});
  });
  const layers = Math.max(...others.map(number => page.run(number).layers));
  const heads = Math.max(...others.map(number => page.run(number).heads));
  const otherLayer = choice("Its layer", numbers(layers), value => { theirs = [Number(value), theirs?.[1] ?? 0]; refresh(); });
  const otherHead = choice("Its head", numbers(heads), value => { theirs = [theirs?.[0] ?? 0, Number(value)]; refresh(); });
  const how = choice("Partner of a head", [["same", "the head of the same number"], ["closest", "the head most like it"]], () => { theirs = null; inGrid = ""; refresh(); });
  const box = h("div");
  const sentence = h("p", {"aria-live": "polite"});
  const under = h("p", {class: "note", "aria-live": "polite"}, "\u00a0");
  const maps = h("div", {class: "maps"});
  root.append(h("form", {class: "choices", onsubmit: event => event.preventDefault()}, texts, run.element, how.element, otherLayer.element, otherHead.element),
    h("div", {class: "beside"}, h("section", {}, h("h3", {}, `Heads of ${page.run(0).name}`), box), h("section", {}, sentence, maps, under)),
    h("p", {class: "note"}, "The difference of two heads is the share of attention that lies elsewhere: half the sum of |A − B| over a row, mean over the rows (total variation). ",
      "Both are brought to the pieces of text that tokens of both fill; what goes to tokens of no letters, such as special ones and spaces, is one column. Heads of runs that were trained apart have no common numbers: look for the closest."));

  const at = (layer, head, l, m) => distance[((layer * shape[1] + head) * shape[2] + l) * shape[3] + m];
  const comparable = () => shape[0] === shape[2] && shape[1] === shape[3];
  const closest = (layer, head) => {
    let best = [0, 0];
    for (let l = 0; l < shape[2]; l++) for (let m = 0; m < shape[3]; m++) if (at(layer, head, l, m) < at(layer, head, ...best)) best = [l, m];
    return best;
  };
  const partner = (layer, head) => how.value === "same" && comparable() ? [layer, head] : closest(layer, head);
  const turn = latest();
  const chosen = now => others.includes(numberOf(now.other, Infinity, -1)) ? Number(now.other) : others.at(-1);

  const refresh = async () => {
    const mine = turn.next();
    const now = state.get();
    const other = chosen(now);
    const part = page.run(other).compare[now.text];
    const found = await page.blob(part.distance);
    if (!turn.is(mine)) return;
    [distance, shape] = [found.data, found.shape];
    how.element.hidden = !comparable();
    const [layer, head] = [Math.min(now.layer, shape[0] - 1), Math.min(now.head, shape[1] - 1)];
    const [l, m] = (theirs ?? partner(layer, head)).map((value, axis) => Math.min(value, shape[2 + axis] - 1));
    otherLayer.value = l;
    otherHead.value = m;
    run.value = other;
    const key = `${other} ${now.text} ${how.value} ${isDark()}`;
    if (inGrid !== key) {
      inGrid = key;
      grid = headGrid({layers: shape[0], heads: shape[1], label: "How far each head differs", onpick: (a, b) => { theirs = null; state.set({layer: a, head: b}); }});
      const {css} = ramp();
      let most = 1e-12;
      for (let a = 0; a < shape[0]; a++) for (let b = 0; b < shape[1]; b++) most = Math.max(most, at(a, b, ...partner(a, b)));
      grid.paint((a, b) => {
        const value = at(a, b, ...partner(a, b));
        return {share: value / most, words: `${percent(value)} elsewhere than layer ${partner(a, b)[0]}, head ${partner(a, b)[1]}`};
      }, css);
      box.replaceChildren(grid.element, rampLegend(["0", `${percent(most)} elsewhere`]));
    }
    grid.mark(layer, head);
    const [nearL, nearM] = closest(layer, head);
    sentence.textContent = `${page.run(0).name}, layer ${layer}, head ${head}, beside ${page.run(other).name}, layer ${l}, head ${m}: `
      + `${percent(at(layer, head, l, m))} of the attention lies elsewhere. The closest there is layer ${nearL}, head ${nearM}: ${percent(at(layer, head, nearL, nearM))}.`
      + (part.same ? "" : " The two cut the text into other tokens.");
    const count = part.segments.length;
    const [first, second] = await Promise.all([page.weights(0, now.text, layer, head), page.weights(other, now.text, l, m)]);
    if (!turn.is(mine)) return;
    showMaps(other, toSegments(first, part.first, count), toSegments(second, part.other, count), part, now, [layer, head, l, m]);
  };
  const showMaps = (other, first, second, part, now, [layer, head, l, m]) => {
    const text = page.text(0, now.text);
    const labels = part.segments.map(([start, end]) => text.text.slice(start, end));
    const rtl = text.direction === "rtl";
    const largest = values => values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12);
    const most = Math.max(largest(first), largest(second));
    const difference = second.map((value, place) => value - first[place]);
    const farthest = largest(difference);
    const pictures = [
      [`${page.run(0).name} ${layer}.${head}`, segmentMap("first", first, labels, "sequential", most, rtl)],
      [`${page.run(other).name} ${l}.${m}`, segmentMap("other", second, labels, "sequential", most, rtl)],
      ["the second − the first", segmentMap("difference", difference, labels, "diverging", farthest, rtl)],
    ];
    maps.replaceChildren(...pictures.map(([name, picture]) => h("div", {class: "map", dir: "ltr"}, h("h4", {}, name),
      showPicture(picture, `Attention of ${name} between ${labels.length} pieces of the text`, cell => {
        under.textContent = cell ? `${cell.words}: ${figure(cell.value)}` : "\u00a0";
      }), exportButtons(() => picture))));
  };
  onTheme(refresh);
  return {
    update(now, changed) {
      if (changed.has("layer") || changed.has("head")) theirs = null;
      if (["layer", "head", "text", "view", "other"].some(name => changed.has(name))) refresh();
    },
  };
}
