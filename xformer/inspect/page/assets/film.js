// A training run's checkpoints as a film: all heads' maps, frame by frame, and numbers over the steps. See film.py.

const FILM_ABSENT = "The page has one checkpoint alone. A run that keeps several (keep_checkpoints) can be seen as a film:";
const FILM_LABELS = {
  entropy: "entropy: how widely tokens look, in nats",
  distance: "distance from query to key, in tokens",
  largest: "the largest weight of a row",
  moved: "share of attention that moved since the frame before",
};

/** All heads of one frame: a bitmap of S × S cells each, weights as √w so that small ones are seen. */
function filmPicture(maps, side, {layers, heads}, chosen, rtl) {
  const [left, top, gap] = [34, 22, 6];
  const size = Math.max(side, Math.min(96, Math.floor(900 / heads) - gap));
  const place = (layer, head) => [left + head * (size + gap), top + layer * (size + gap)];
  return {
    name: "film", width: left + heads * (size + gap), height: top + layers * (size + gap),
    draw(pen) {
      const {pixels} = ramp();
      for (let layer = 0; layer < layers; layer++) {
        pen.text(left - 8, top + layer * (size + gap) + size / 2, String(layer), {fill: colour("soft"), anchor: "end"});
        for (let head = 0; head < heads; head++) {
          const [x, y] = place(layer, head);
          if (!layer) pen.text(x + size / 2, top / 2, String(head), {fill: colour("soft"), anchor: "middle"});
          const canvas = h("canvas", {width: side, height: side});
          const context = canvas.getContext("2d");
          const image = context.createImageData(side, side);
          const cells = new Uint32Array(image.data.buffer);
          const first = (layer * heads + head) * side * side;
          for (let cell = 0; cell < cells.length; cell++) {
            cells[rtl ? cell - 2 * (cell % side) + side - 1 : cell] = pixels[maps[first + cell]];  // keys run as the text does
          }
          context.putImageData(image, 0, 0);
          pen.bitmap(x, y, size, size, canvas);
          const here = layer === chosen[0] && head === chosen[1];
          pen.rect(x, y, size, size, {stroke: colour(here ? "accent" : "rule"), width: here ? 3 : 1});
        }
      }
    },
    at(x, y) {
      const [head, layer] = [Math.floor((x - left) / (size + gap)), Math.floor((y - top) / (size + gap))];
      return layer >= 0 && layer < layers && head >= 0 && head < heads ? [layer, head] : null;
    },
  };
}

/** One number of one head over the steps, with the frame that is shown. */
function stepsPicture(steps, values, at, label) {
  const [width, height, left, bottom] = [640, 150, 60, 24];
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const span = most - least || 1;
  const x = step => left + (width - left - 12) * (step - steps[0]) / (steps.at(-1) - steps[0] || 1);
  const y = value => 24 + (height - 24 - bottom - 6) * (1 - (value - least) / span);
  return {
    name: "film-steps", width, height,
    draw(pen) {
      const soft = {fill: colour("soft"), size: 11};
      pen.text(left, 10, label, soft);
      const words = value => figure(least) === figure(most) ? String(Number(value.toPrecision(6))) : figure(value);
      pen.text(left - 6, y(most), words(most), {...soft, anchor: "end"});
      if (most > least) pen.text(left - 6, y(least), words(least), {...soft, anchor: "end"});
      pen.text(left, height - 8, `step ${steps[0]}`, soft);
      pen.text(width - 12, height - 8, String(steps.at(-1)), {...soft, anchor: "end"});
      pen.path(values.map((value, number) => `${number ? "L" : "M"}${x(steps[number])} ${y(value)}`).join(""), {stroke: colour("s0"), width: 2});
      pen.path(`M${x(steps[at])} 20V${height - bottom}`, {stroke: colour("accent"), width: 1.5, dash: [4, 3]});
      pen.rect(x(steps[at]) - 3, y(values[at]) - 3, 6, 6, {fill: colour("accent")});
    },
    rows: () => [["step", label], ...steps.map((step, number) => [step, values[number]])],
  };
}

registerView({
  id: "film",
  title: "Film",
  hint: "A training run’s checkpoints, one after the other",
  available: () => true,
  create(root, page, state) {
    const absent = h("div");
    const body = h("div");
    root.append(absent, body);
    let built = null, shown = "";
    return {
      update(now, changed) {
        const part = partOf(page, state, "film", FILM_ABSENT);
        body.hidden = Boolean(part.why);
        absent.replaceChildren();
        if (part.why) {
          built?.stop();
          showAbsent(absent, part.why, part.why === FILM_ABSENT ? "xformer inspect page RUN TEXT --film" : "");
          return;
        }
        if (shown !== `${now.run} ${now.text}`) {
          built?.stop();
          shown = `${now.run} ${now.text}`;
          body.replaceChildren();
          built = createFilm(body, page, state, part);
        }
        if (now.view !== "film") built.stop();
        built.update(now, changed);
      },
    };
  },
});

function createFilm(root, page, state, part) {
  const {frames, side, statistics} = part;
  const steps = frames.map(frame => frame.step);
  const size = page.run(state.get().run);
  let at = frames.length - 1, playing = 0, numbers = null, picture = null, line = null;
  const subject = subjectChoices(page, state);
  const heads = headChoices(page, state);
  const slider = h("input", {type: "range", min: 0, max: frames.length - 1, step: 1, value: at, class: "frames", "aria-label": "Checkpoint",
    oninput: () => { stop(); go(Number(slider.value)); }});
  const play = h("button", {type: "button", "aria-pressed": "false", onclick: () => playing ? stop() : start()}, "Play");
  const speed = choice("Frames a second", [[1, "1"], [2, "2"], [4, "4"], [8, "8"]], () => { if (playing) { stop(); start(); } });
  speed.value = 2;
  const name = choice("Number", statistics.map(one => [one, FILM_LABELS[one] ?? one]), () => paint());
  const sentence = h("p", {class: "said"});
  const canvas = h("canvas", {class: "film", role: "img", tabindex: "0"});
  const chart = h("div", {class: "bars"});
  root.append(
    h("form", {class: "choices", onsubmit: event => event.preventDefault()}, ...subject.elements, play, h("label", {class: "wide"}, "Checkpoint", slider), speed.element, heads.element, name.element),
    sentence, h("div", {class: "scroll"}, canvas), exportButtons(() => picture && {...picture, rows: filmRows}), chart, exportButtons(() => line),
    h("p", {class: "note"}, "Each map is one head, queries down and keys across; the darker or brighter, the larger the weight, by its square root, alike in all frames. ",
      page.text(state.get().run, state.get().text).pieces.length > side ? `A map has ${side} cells a side: the largest weight that falls into each.` : "A cell is a token."));

  const filmRows = () => [["step", "layer", "head", ...statistics], ...frames.flatMap((frame, number) =>
    Array.from({length: size.layers * size.heads}, (_, place) => [frame.step, Math.floor(place / size.heads), place % size.heads,
      ...statistics.map((_, one) => numbers?.[number][one * size.layers * size.heads + place])]))];
  const turn = latest();
  const paint = async () => {
    const mine = turn.next();
    numbers ??= await Promise.all(frames.map(async frame => (await page.blob(frame.statistics)).data));
    const {data} = await page.blob(frames[at].maps);
    if (!turn.is(mine)) return;
    const now = state.get();
    const [layer, head] = headOf(page, now);
    picture = filmPicture(data, side, size, [layer, head], page.text(now.run, now.text).direction === "rtl");
    const sharp = window.devicePixelRatio || 1;
    canvas.width = Math.ceil(picture.width * sharp);
    canvas.height = Math.ceil(picture.height * sharp);
    canvas.style.width = `${picture.width}px`;
    const context = canvas.getContext("2d");
    context.scale(sharp, sharp);
    picture.draw(canvasPen(context));
    canvas.setAttribute("aria-label", `All heads at step ${steps[at]}. Arrow keys choose a head, comma and full stop the frame.`);
    const place = (statistics.indexOf(name.value) * size.layers + layer) * size.heads + head;
    line = stepsPicture(steps, numbers.map(one => one[place]), at, `layer ${layer}, head ${head}, ${FILM_LABELS[name.value] ?? name.value}`);
    const svg = s("svg", {viewBox: `0 0 ${line.width} ${line.height}`, role: "img", "aria-label": `${FILM_LABELS[name.value] ?? name.value} over the steps`});
    line.draw(svgPen(svg));
    chart.replaceChildren(svg);
    const loss = frames[at].loss === null ? "" : `, total held-out loss ${figure(frames[at].loss)}`;
    sentence.textContent = `Step ${steps[at]} (frame ${at + 1} of ${frames.length})${loss}`;
    slider.value = at;
    slider.setAttribute("aria-valuetext", sentence.textContent);
  };
  const go = frame => {
    at = Math.min(Math.max(frame, 0), frames.length - 1);
    state.set({frame: String(at)});
  };
  const start = () => {
    if (at === frames.length - 1) go(0);
    playing = setInterval(() => {
      go(at + 1);
      if (at === frames.length - 1) stop();
    }, 1000 / Number(speed.value));
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
  };
  const stop = () => {
    clearInterval(playing);
    playing = 0;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  };
  canvas.addEventListener("click", event => {
    const found = picture?.at(event.offsetX, event.offsetY);
    if (found) state.set({layer: found[0], head: found[1]});
  });
  canvas.addEventListener("keydown", event => {
    const [layer, head] = headOf(page, state.get());
    const [down, right] = {ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1]}[event.key] ?? [0, 0];
    const frame = {",": -1, ".": 1}[event.key];
    if (!down && !right && !frame) return;
    event.preventDefault();
    event.stopPropagation();
    if (frame) { stop(); go(at + frame); return; }
    state.set({
      layer: Math.min(Math.max(layer + down, 0), size.layers - 1), head: Math.min(Math.max(head + right, 0), size.heads - 1),
    });
  });
  onTheme(paint);
  return {
    stop,
    update(now, changed) {
      subject.update(now);
      heads.update(now);
      if (!playing) at = numberOf(now.frame, frames.length, frames.length - 1);
      if (["layer", "head", "run", "text", "view", "frame"].some(one => changed.has(one))) paint();
    },
  };
}
