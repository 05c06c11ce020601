// All heads as small maps, layers down and heads across. Each is coloured up to its own largest weight.

const GAP = 3;

/** {element, show(data), choose(layer, head), dim(visible)}; `onchoose(layer, head)` when one is clicked. */
function overviewMap({onchoose}) {
  const canvas = h("canvas", {
    tabindex: "0", role: "application", "aria-roledescription": "layers and heads",
    "aria-keyshortcuts": "ArrowUp ArrowDown ArrowLeft ArrowRight",
  });
  const chosen = h("div", {class: "chosen", "aria-hidden": "true"});
  const pointed = h("div", {class: "pointed", "aria-hidden": "true"});
  const element = h("div", {class: "overview"}, canvas, pointed, chosen);
  let grid = null;
  let shown = null;
  let visible = null;
  let at = [0, 0];

  const headAt = event => {
    if (!grid) return null;
    const head = Math.floor((event.offsetX - grid.left) / grid.step);
    const layer = Math.floor((event.offsetY - grid.top) / grid.step);
    return head >= 0 && layer >= 0 && head < grid.heads && layer < grid.layers ? [layer, head] : null;
  };
  const place = (mark, layer, head) => {
    mark.style.transform = `translate(${grid.left + head * grid.step - 1}px, ${grid.top + layer * grid.step - 1}px)`;
  };
  canvas.addEventListener("pointermove", event => {
    const found = headAt(event);
    pointed.style.opacity = found ? 1 : 0;
    if (found) {
      place(pointed, ...found);
      canvas.title = `layer ${found[0]}, head ${found[1]}`;
    }
  });
  canvas.addEventListener("pointerleave", () => { pointed.style.opacity = 0; });
  canvas.addEventListener("click", event => { const found = headAt(event); if (found) onchoose(...found); });
  canvas.addEventListener("keydown", event => {
    const step = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key];
    if (!step || !grid) return;
    event.preventDefault();
    event.stopPropagation();
    const most = [grid.layers - 1, grid.heads - 1];
    onchoose(...at.map((number, side) => Math.max(0, Math.min(most[side], number + step[side]))));
  });

  const draw = (pen, side) => {
    const {bytes, layers, heads, rtl} = shown;
    const {left, top, step, cell} = grid;
    const {pixels: colours} = ramp();
    const small = h("canvas", {width: side, height: side});
    const context = small.getContext("2d");
    const image = context.createImageData(side, side);
    const pixels = new Uint32Array(image.data.buffer);
    const soft = colour("soft");
    for (let layer = 0; layer < layers; layer++) {
      pen.text(left - 6, top + layer * step + cell / 2, layer, {fill: soft, size: 11, anchor: "end"});
      for (let head = 0; head < heads; head++) {
        if (!layer) pen.text(left + head * step + cell / 2, top - 8, head, {fill: soft, size: 11, anchor: "middle"});
        const from = (layer * heads + head) * side * side;
        for (let i = 0; i < side; i++) {
          for (let j = 0; j < side; j++) {
            pixels[i * side + (rtl ? side - 1 - j : j)] = colours[bytes[from + i * side + j]];
          }
        }
        context.putImageData(image, 0, 0);
        pen.bitmap(left + head * step, top + layer * step, cell, cell, small);
        if (visible && !visible.has(layer * heads + head)) {
          pen.rect(left + head * step, top + layer * step, cell, cell, {fill: colour("paper"), opacity: 0.8});
        }
      }
    }
  };
  const paint = () => {
    const sharp = devicePixelRatio;
    const context = canvas.getContext("2d");
    context.setTransform(sharp, 0, 0, sharp, 0, 0);
    context.clearRect(0, 0, grid.width, grid.height);
    draw(canvasPen(context), shown.side);
  };

  return {
    element,
    get size() { return grid; },
    draw(pen) { draw(pen, shown.side); },
    /** {bytes, side, layers, heads, rtl} in a space of `room` pixels. */
    show(data, room) {
      shown = data;
      const {layers, heads} = data;
      const cell = Math.max(12, Math.min(110, Math.floor((room - 26) / heads) - GAP));
      const step = cell + GAP;
      grid = {layers, heads, cell, step, left: 24, top: 18, width: 26 + heads * step, height: 18 + layers * step};
      canvas.width = Math.ceil(grid.width * devicePixelRatio);
      canvas.height = Math.ceil(grid.height * devicePixelRatio);
      canvas.style.width = `${grid.width}px`;
      canvas.style.height = `${grid.height}px`;
      for (const mark of [chosen, pointed]) Object.assign(mark.style, {width: `${cell + 2}px`, height: `${cell + 2}px`});
      paint();
    },
    /** Only these heads are clear: a Set of layer · heads + head, or null for all. */
    dim(heads) {
      visible = heads;
      if (shown) paint();
    },
    choose(layer, head, about) {
      if (!grid) return;
      at = [layer, head];
      place(chosen, layer, head);
      canvas.setAttribute("aria-label", `Heads: layer ${layer}, head ${head} is chosen. ${about}`);
    },
  };
}
