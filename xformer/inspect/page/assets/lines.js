// Two texts side by side with lines between their tokens. Rows are tokens of the left, columns of the right.
//
//   const lines = tokenLines({left, right, label}); root.append(lines.element);
//   lines.show([{i, j, share}], words); lines.picture() is for export.

const LINE_ROW = 30, LINE_GAP = 140;
const MOST_LINES = 3000;  // drawn at a time, the strongest: more are neither seen nor drawn in a frame

function tokenLines({left, right, leftNumbers, rightNumbers, label}) {
  const rows = Math.max(leftNumbers.length, rightNumbers.length);
  const height = rows * LINE_ROW;
  const svg = s("svg", {viewBox: `0 0 ${LINE_GAP} ${height}`, width: LINE_GAP, height, "aria-hidden": "true"});
  const note = h("p", {class: "note", "aria-live": "polite"});
  let shown = [], kept = null, leftOut = 0;
  const middle = place => (place + 0.5) * LINE_ROW;

  const column = (text, numbers, side) => {
    const labels = tokenLabels(text).map(partLabel);
    const marks = numbers.map((token, place) => h("button", {
      type: "button", class: "token", tabindex: place ? "-1" : "0", "data-side": side, "data-place": place,
      title: `${token}: ${text.pieces[token]}`,
    }, h("bdi", {}, labels[token])));
    const box = h("div", {class: `column ${side}`, role: "toolbar", "aria-label": `Tokens of text ${side === "left" ? "A" : "B"}`,
      "aria-orientation": "vertical", lang: text.language || null}, ...marks);
    return {box, marks, labels: numbers.map(token => labels[token])};
  };
  const sides = {left: column(left, leftNumbers, "left"), right: column(right, rightNumbers, "right")};
  const element = h("div", {class: "token-lines", role: "group", "aria-label": label},
    h("div", {class: "columns"}, sides.left.box, svg, sides.right.box), note);

  const of = (line, side) => side === "left" ? line.i : line.j;
  const draw = (pen, only = null) => {
    const most = shown.reduce((largest, line) => Math.max(largest, line.share), 1e-12);
    for (const line of shown) {
      const here = !only || of(line, only.side) === only.place;
      pen.path(`M0 ${middle(line.i)}C${LINE_GAP / 2} ${middle(line.i)} ${LINE_GAP / 2} ${middle(line.j)} ${LINE_GAP} ${middle(line.j)}`, {
        stroke: colour(only && here ? "accent" : "s0"), width: 1 + 3 * line.share / most,
        opacity: here ? 0.25 + 0.75 * line.share / most : 0.06,
      });
    }
  };
  const paint = only => {
    svg.replaceChildren();
    draw(svgPen(svg), only);
    for (const side of ["left", "right"]) {
      const other = side === "left" ? "right" : "left";
      sides[side].marks.forEach((mark, place) => {
        const own = only && only.side === side && only.place === place;
        const linked = only && only.side === other && shown.some(line => of(line, other) === only.place && of(line, side) === place);
        mark.classList.toggle("locked", Boolean(own));
        mark.classList.toggle("hovered", Boolean(linked));
      });
    }
    if (!only) { note.textContent = leftOut ? `The strongest ${MOST_LINES} lines; ${leftOut} weaker ones are left out.` : ""; return; }
    const linked = shown.filter(line => of(line, only.side) === only.place).sort((a, b) => b.share - a.share).slice(0, 6);
    const far = only.side === "left" ? "right" : "left";
    note.replaceChildren(h("bdi", {}, sides[only.side].labels[only.place]), " – ", ...(linked.length
      ? linked.flatMap((line, number) => [number ? ", " : "", h("bdi", {}, sides[far].labels[of(line, far)]), ` ${figure(line.value ?? line.share)}`])
      : ["no line"]));
  };
  const markAt = event => {
    const mark = event.target.closest?.("button[data-side]");
    return mark ? {side: mark.dataset.side, place: Number(mark.dataset.place)} : null;
  };
  element.addEventListener("pointerover", event => { if (markAt(event)) paint(markAt(event)); });
  element.addEventListener("pointerleave", () => paint(kept));
  element.addEventListener("focusin", event => { if (markAt(event)) paint(markAt(event)); });
  element.addEventListener("focusout", () => paint(kept));
  element.addEventListener("click", event => {
    const at = markAt(event);
    if (!at) return;
    kept = kept && kept.side === at.side && kept.place === at.place ? null : at;
    paint(kept);
  });
  element.addEventListener("keydown", event => {
    const at = markAt(event);
    if (!at) return;
    if (event.key === "Escape") { kept = null; paint(null); return; }
    const down = {ArrowDown: 1, ArrowUp: -1}[event.key];
    const side = {ArrowRight: "right", ArrowLeft: "left"}[event.key] ?? at.side;
    const place = Math.min(at.place + (down ?? 0), sides[side].marks.length - 1);
    if ((!down && side === at.side) || place < 0) return;
    event.preventDefault();
    event.stopPropagation();
    event.target.closest("button").tabIndex = -1;
    sides[side].marks[place].tabIndex = 0;
    sides[side].marks[place].focus();
  });
  return {
    element,
    show(lines) {
      shown = lines.length > MOST_LINES ? [...lines].sort((a, b) => b.share - a.share).slice(0, MOST_LINES) : lines;
      leftOut = lines.length - shown.length;
      paint(kept);
    },
    picture(name) {
      const wide = 150;
      return {
        name, width: LINE_GAP + 2 * wide, height,
        draw(pen) {
          const shifted = {...pen, path: (d, style) => pen.path(d.replace(/(-?[\d.]+) (-?[\d.]+)/g, (_, x, y) => `${Number(x) + wide} ${y}`), style)};
          draw(shifted, kept);
          sides.left.labels.forEach((words, place) => pen.text(wide - 6, middle(place), abbreviated(words, 18), {fill: colour("ink"), anchor: "end"}));
          sides.right.labels.forEach((words, place) => pen.text(wide + LINE_GAP + 6, middle(place), abbreviated(words, 18), {fill: colour("ink")}));
        },
        rows: () => [["A", "B", "value"], ...shown.map(line => [sides.left.labels[line.i], sides.right.labels[line.j], line.value ?? line.share])],
      };
    },
  };
}

/** Which lines a matrix gives: {at(i, j), rows, columns}. `mode`: "all", "best" of each row, or "mutual". */
function alignmentLines({at, rows, columns}, mode, least) {
  const bestOf = (count, others, value) => Array.from({length: count}, (_, one) => {
    let best = -1;
    for (let other = 0; other < others; other++) if (best < 0 || value(one, other) > value(one, best)) best = other;
    return best;
  });
  const across = bestOf(rows, columns, at);
  const back = bestOf(columns, rows, (j, i) => at(i, j));
  const found = [];
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const value = at(i, j);
      if (value < least || value <= 0) continue;
      if (mode === "best" && across[i] !== j) continue;
      if (mode === "mutual" && (across[i] !== j || back[j] !== i)) continue;
      found.push({i, j, share: value, value});
    }
  }
  return found;
}

/** A soft alignment: the softmax over B times the softmax over A, of likeness by a temperature. */
function softAlignment({at, rows, columns}, temperature = 0.1) {
  const weight = (i, j) => Math.exp(at(i, j) / temperature);
  const overRow = Array.from({length: rows}, (_, i) => total(Array.from({length: columns}, (_, j) => weight(i, j))));
  const overColumn = Array.from({length: columns}, (_, j) => total(Array.from({length: rows}, (_, i) => weight(i, j))));
  return {rows, columns, at: (i, j) => weight(i, j) ** 2 / overRow[i] / overColumn[j]};
}
