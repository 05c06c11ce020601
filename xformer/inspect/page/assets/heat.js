// One head as a map: queries down, keys across, the way the text runs. Drawn once; the pointer moves two bands
// over it, so no frame draws or lays out anything.

const FEWEST_PIXELS = 9;  // a cell this small still has room for a label
const LONGEST_LABEL = 130;

/** Where everything of a map of m units lies, in a space that is `room` pixels wide. */
function heatLayout(units, room, rtl) {
  const m = units.length;
  const pen = h("canvas").getContext("2d");
  const wanted = Math.max(...units.map(unit => (pen.font = `12px ${FONT}`, pen.measureText(unit.label).width)), 0);
  const margin = Math.min(LONGEST_LABEL, room / 4, wanted + 8);
  const labelled = (room - margin) / m >= FEWEST_PIXELS;
  const gutter = labelled ? margin : 4;
  const cell = Math.max(Math.min((room - gutter - 4) / m, 44), 0.5);
  const cells = labelled ? Math.floor(cell) : cell;
  const side = cells * m;
  const size = Math.min(12, cells - 1);
  const labels = units.map(unit => shortened(pen, unit.label, size, margin - 8));
  const tall = labels.map(label => stackedLabel(label)
    ? [...label].length * size * 1.05 + 6
    : (pen.font = `${size}px ${FONT}`, pen.measureText(label).width <= cells - 2 ? size + 6 : pen.measureText(label).width + 10));
  const top = labelled ? Math.max(...tall, 20) : 4;
  return {
    m, rtl, labelled, labels, size, cell: cells, side, top,
    left: rtl ? 4 : gutter,
    width: side + gutter + 4, height: top + side + 4,
  };
}

/** A label that fits, cut between graphemes. */
function shortened(pen, label, size, room) {
  pen.font = `${size}px ${FONT}`;
  if (pen.measureText(label).width <= room) return label;
  const parts = segments(label, "grapheme").map(([from, to]) => label.slice(from, to));
  while (parts.length > 1 && pen.measureText(`${parts.join("")}…`).width > room) parts.pop();
  return `${parts.join("")}…`;
}

/** Han, kana and Hangul stand upright above one another; other scripts are turned. */
function stackedLabel(label) {
  return /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}ー々。、「」]+$/u.test(label);
}

/** The weights as a small canvas, one pixel a cell, and right to left where the text is. */
function heatBitmap(weights, m, largest, scale, rtl) {
  const canvas = h("canvas", {width: m, height: m});
  const context = canvas.getContext("2d");
  const image = context.createImageData(m, m);
  const pixels = new Uint32Array(image.data.buffer);
  const {pixels: colours} = ramp();
  const to = largest || 1;
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < m; j++) {
      const part = Math.min(1, weights[i * m + j] / to);
      pixels[i * m + (rtl ? m - 1 - j : j)] = colours[Math.round(255 * (scale === "root" ? Math.sqrt(part) : part))];
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** The map with its labels, by any pen. */
function drawHeat(pen, layout, bitmap) {
  const {m, rtl, labelled, labels, size, cell, side, left, top} = layout;
  pen.bitmap(left, top, side, side, bitmap);
  pen.rect(left - 0.5, top - 0.5, side + 1, side + 1, {stroke: colour("rule")});
  if (!labelled) return;
  const measure = h("canvas").getContext("2d");
  measure.font = `${size}px ${FONT}`;
  const ink = colour("ink");
  const direction = rtl ? "rtl" : "ltr";
  labels.forEach((label, number) => {
    const y = top + (number + 0.5) * cell;
    pen.text(rtl ? left + side + 5 : left - 5, y, label, {fill: ink, size, anchor: rtl ? "start" : "end", direction});
    const x = left + ((rtl ? m - 1 - number : number) + 0.5) * cell;
    if (measure.measureText(label).width <= cell - 2) {
      pen.text(x, top - size / 2 - 3, label, {fill: ink, size, anchor: "middle", direction});
    } else if (stackedLabel(label)) {
      const letters = [...label];
      letters.forEach((letter, place) => pen.text(
        x, top - 4 - (letters.length - place - 0.5) * size * 1.05, letter, {fill: ink, size, anchor: "middle"}));
    } else {
      pen.text(x, top - 5, label, {fill: ink, size, turn: -90, anchor: "start", direction});
    }
  });
}

/** The map on the screen: {element, show(head), point(i, j, locked)}; `onpoint(i, j)` and `onclick(i, j)`. */
function heatMap({onpoint, onclick}) {
  const canvas = h("canvas", {
    tabindex: "0", role: "application", "aria-roledescription": "map of attention weights", "aria-keyshortcuts":
    "ArrowUp ArrowDown ArrowLeft ArrowRight Enter Escape",
  });
  const row = h("div", {class: "band", "aria-hidden": "true"});
  const column = h("div", {class: "band", "aria-hidden": "true"});
  const element = h("div", {class: "heat"}, canvas, row, column);
  let layout = null;
  let bitmap = null;
  let at = [0, 0];

  const cellAt = event => {
    if (!layout) return null;
    const x = event.offsetX - layout.left;
    const y = event.offsetY - layout.top;
    if (x < 0 || y < 0 || x >= layout.side || y >= layout.side) return null;
    const j = Math.min(layout.m - 1, Math.floor(x / layout.cell));
    return [Math.min(layout.m - 1, Math.floor(y / layout.cell)), layout.rtl ? layout.m - 1 - j : j];
  };
  canvas.addEventListener("pointermove", event => onpoint(...(cellAt(event) ?? [null, null])));
  canvas.addEventListener("pointerleave", () => onpoint(null, null));
  canvas.addEventListener("click", event => { const cell = cellAt(event); if (cell) onclick(...cell); });
  canvas.addEventListener("keydown", event => {
    if (!layout) return;
    const across = layout.rtl ? -1 : 1;
    const step = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -across], ArrowRight: [0, across]}[event.key];
    if (step) {
      at = at.map((place, side) => Math.max(0, Math.min(layout.m - 1, place + step[side])));
      onpoint(...at);
    } else if (event.key === "Enter" || event.key === " ") onclick(...at);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    element,
    canvas,
    get layout() { return layout; },
    show({units, weights, largest, scale, rtl, label}, room) {
      layout = heatLayout(units, room, rtl);
      bitmap = heatBitmap(weights, layout.m, largest, scale, rtl);
      const sharp = devicePixelRatio;
      canvas.width = Math.ceil(layout.width * sharp);
      canvas.height = Math.ceil(layout.height * sharp);
      canvas.style.width = `${layout.width}px`;
      canvas.style.height = `${layout.height}px`;
      const context = canvas.getContext("2d");
      context.scale(sharp, sharp);
      drawHeat(canvasPen(context), layout, bitmap);
      canvas.setAttribute("aria-label", label);
      const thick = Math.max(layout.cell, 2);
      Object.assign(row.style, {width: `${layout.side}px`, height: `${thick}px`});
      Object.assign(column.style, {width: `${thick}px`, height: `${layout.side}px`});
    },
    draw(pen) { drawHeat(pen, layout, bitmap); },
    /** Lay the bands over row i and column j; null takes one away. */
    point(i, j, locked) {
      if (!layout) return;
      if (i !== null) at = [i, j ?? at[1]];
      const x = j === null ? 0 : layout.left + (layout.rtl ? layout.m - 1 - j : j) * layout.cell;
      row.style.transform = `translate(${layout.left}px, ${layout.top + (i ?? 0) * layout.cell}px)`;
      column.style.transform = `translate(${x}px, ${layout.top}px)`;
      row.style.opacity = i === null ? 0 : 1;
      column.style.opacity = j === null ? 0 : 1;
      element.classList.toggle("fixed", locked);
    },
  };
}
