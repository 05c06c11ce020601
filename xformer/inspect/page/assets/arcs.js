// One head as arcs: each token twice, as query and as key, in the order and on the side that the text's
// direction asks for. Labels are never turned, whatever the script.

const MOST_ARCS = 500;
const MOST_OF_ONE = 60;

function arcsLayout(units, room, rtl) {
  const pen = h("canvas").getContext("2d");
  const size = 13;
  const step = units.length > 80 ? 17 : 22;
  const margin = Math.min(room * 0.33, 180);
  const labels = units.map(unit => shortened(pen, unit.label, size, margin - 12));
  const width = Math.min(room, 640);
  return {
    m: units.length, rtl, labels, size, step, width, top: 26, height: 34 + step * units.length,
    from: rtl ? width - margin : margin, to: rtl ? margin : width - margin,
  };
}

/** The strongest weights of all, [i, j, weight], at most `most`, weakest first. */
function strongest(weights, m, most, largest) {
  const bins = new Uint32Array(1025);
  for (const weight of weights) bins[Math.min(1024, Math.floor(1024 * weight / largest))]++;
  let bin = 1024;
  for (let count = bins[bin]; bin > 10 && count + bins[bin - 1] <= most; bin--) count += bins[bin - 1];
  const found = [];
  const least = largest * bin / 1024;
  for (let at = 0; at < weights.length; at++) {
    if (weights[at] >= least) found.push([Math.floor(at / m), at % m, weights[at]]);
  }
  return found.sort((a, b) => a[2] - b[2]).slice(-most);
}

function arcPath(layout, i, j) {
  const y = number => layout.top + (number + 0.5) * layout.step;
  const middle = (layout.from + layout.to) / 2;
  return `M${layout.from} ${y(i)}C${middle} ${y(i)} ${middle} ${y(j)} ${layout.to} ${y(j)}`;
}

function drawArc(pen, layout, [i, j, weight], largest, stroke) {
  const part = weight / largest;
  pen.path(arcPath(layout, i, j), {stroke, width: 0.6 + 3 * part, opacity: 0.08 + 0.92 * part});
}

function drawArcLabels(pen, layout) {
  const {rtl, labels, size, step, top, from, to} = layout;
  const direction = rtl ? "rtl" : "ltr";
  const [ink, soft] = [colour("ink"), colour("soft")];
  const out = rtl ? 1 : -1;
  const outer = rtl ? "start" : "end";
  const inner = rtl ? "end" : "start";
  pen.text(from + out * 8, 10, "from", {fill: soft, size: 11, anchor: outer});
  pen.text(to - out * 8, 10, "to", {fill: soft, size: 11, anchor: inner});
  labels.forEach((label, number) => {
    const y = top + (number + 0.5) * step;
    pen.text(from + out * 8, y, label, {fill: ink, size, anchor: outer, direction});
    pen.text(to - out * 8, y, label, {fill: ink, size, anchor: inner, direction});
  });
}

/** Arcs on the screen: {element, show(head), point(i, j, locked), draw(pen)}. */
function arcMap({onpoint, onclick}) {
  // Three drawings above one another: while the pointer moves only the middle one is drawn again.
  const faint = s("svg", {class: "faint", role: "img"});
  const over = s("svg", {"aria-hidden": "true"});
  const names = s("svg", {"aria-hidden": "true"});
  const bands = [s("rect", {class: "arc-band"}), s("rect", {class: "arc-band"})];
  const bold = s("g");
  over.append(...bands, bold);
  const sheet = h("div", {class: "arcs-drawing"}, faint, over, names);
  const element = h("div", {class: "arcs"}, sheet);
  let layout = null;
  let head = null;
  let lines = [];

  const rowAt = event => {
    if (!layout) return [null, null];
    const box = sheet.getBoundingClientRect();
    const x = event.clientX - box.left;
    const number = Math.floor((event.clientY - box.top - layout.top) / layout.step);
    if (number < 0 || number >= layout.m) return [null, null];
    const onKeys = layout.rtl ? x < layout.to : x > layout.to;
    return onKeys ? [null, number] : [number, null];
  };
  sheet.addEventListener("pointermove", event => onpoint(...rowAt(event)));
  sheet.addEventListener("pointerleave", () => onpoint(null, null));
  sheet.addEventListener("click", event => {
    const [i, j] = rowAt(event);
    if (i !== null || j !== null) onclick(i, j);
  });

  const ofOne = (i, j) => {
    const {weights} = head;
    const found = [];
    for (let other = 0; other < layout.m; other++) {
      const [a, b] = i === null ? [other, j] : [i, other];
      if (weights[a * layout.m + b] > 0.002) found.push([a, b, weights[a * layout.m + b]]);
    }
    return found.sort((a, b) => a[2] - b[2]).slice(-MOST_OF_ONE);
  };

  return {
    element,
    get size() { return layout; },
    show(shown, room) {
      head = shown;
      layout = arcsLayout(head.units, room, head.rtl);
      lines = strongest(head.weights, layout.m, MOST_ARCS, head.largest || 1);
      for (const group of [faint, bold, names]) group.replaceChildren();
      Object.assign(sheet.style, {width: `${layout.width}px`, height: `${layout.height}px`});
      for (const svg of [faint, over, names]) {
        svg.setAttribute("width", layout.width);
        svg.setAttribute("height", layout.height);
      }
      faint.setAttribute("aria-label", head.label);
      const pen = svgPen(faint);
      for (const line of lines) drawArc(pen, layout, line, head.largest || 1, "var(--s0)");
      drawArcLabels(svgPen(names), layout);
    },
    draw(pen) {
      for (const line of lines) drawArc(pen, layout, line, head.largest || 1, colour("s0"));
      drawArcLabels(pen, layout);
    },
    point(i, j, locked) {
      if (!layout) return;
      bold.replaceChildren();
      faint.classList.toggle("away", i !== null || j !== null);
      bands.forEach((band, side) => {
        const number = side ? j : i;
        band.setAttribute("visibility", number === null ? "hidden" : "visible");
        if (number === null) return;
        const right = side ? !layout.rtl : layout.rtl;
        band.setAttribute("x", right ? Math.max(layout.from, layout.to) : 0);
        band.setAttribute("y", layout.top + number * layout.step);
        band.setAttribute("width", layout.width - Math.max(layout.from, layout.to));
        band.setAttribute("height", layout.step);
      });
      if (i === null && j === null) return;
      const found = ofOne(i, j);
      const most = Math.max(...found.map(line => line[2]), 1e-6);
      const pen = svgPen(bold);
      for (const line of found) drawArc(pen, layout, line, most, locked ? "var(--s1)" : "var(--accent)");
    },
  };
}
