// What the text loses with each head: layers by heads, in nats of masked-token loss or as 1 - cosine. See ablation.py.

const ABLATION_ABSENT = "The effects of ablated heads were not computed: each head takes a pass of its own. Ask for them:";

function ablationWords(part) {
  return part.measure === "loss"
    ? `Change of the masked-token loss in nats when a head is made zero, over ${part.hidden.length} tokens of this text, each hidden in turn. The loss as it is: ${figure(part.base)}. Blue: the head helps here. Orange: without it the loss is lower.`
    : "How far the text’s vector turns when a head is made zero: 1 − cosine between the vector without the head and the one as it is. There is no masked LM to measure a loss with.";
}

/** The heat map of effects with its words; `root` gets it, and it follows the state. Also used beside the overview. */
function createAblation(root, page, state) {
  const absent = h("div");
  const box = h("div");
  const words = h("p", {class: "note"});
  const chosen = h("p", {"aria-live": "polite"});
  root.append(absent, box, chosen, words);
  let grid = null, shown = null, picture = null, legend = null;
  const saves = exportButtons(() => picture);

  const paint = () => {
    if (!shown) return;
    const {part, most, loss} = shown;
    const {css} = ramp(loss ? "diverging" : "sequential");
    grid.paint((layer, head) => {
      const effect = part.effects[layer][head];
      return {share: loss ? 0.5 + effect / most / 2 : effect / most, words: `${loss && effect > 0 ? "+" : ""}${figure(effect)}`};
    }, css);
  };
  onTheme(paint);

  const fill = now => {
    const part = partOf(page, state, "ablation", ABLATION_ABSENT);
    shown = null;
    absent.replaceChildren();
    for (const one of [box, words, chosen]) one.hidden = Boolean(part.why);
    if (part.why) { showAbsent(absent, part.why, part.why === ABLATION_ABSENT ? "xformer inspect page RUN TEXT --ablation" : ""); return; }
    const run = page.run(now.run);
    const most = Math.max(...part.effects.flat().map(Math.abs), 1e-12);
    shown = {part, most, loss: part.measure === "loss"};
    grid = headGrid({layers: run.layers, heads: run.heads, label: "Effect of each head", onpick: (layer, head) => state.set({layer, head})});
    legend = shown.loss
      ? rampLegend([`−${figure(most)}`, `+${figure(most)}`], "diverging")
      : rampLegend(["0", figure(most)]);
    box.replaceChildren(grid.element, legend, saves);
    words.textContent = ablationWords(part);
    picture = gridPicture("ablation", run, (layer, head) => part.effects[layer][head], shown.loss ? "diverging" : "sequential", most);
    paint();
  };
  return {
    update(now, changed) {
      if (!["run", "text", "layer", "head", "view"].some(name => changed.has(name))) return;  // the pointer moved
      if (!shown || changed.has("run") || changed.has("text")) fill(now);
      if (!shown) return;
      const [layer, head] = headOf(page, now);
      grid.mark(layer, head);
      const effect = shown.part.effects[layer][head];
      const rank = shown.part.effects.flat().filter(other => other > effect).length + 1;
      chosen.textContent = `Layer ${layer}, head ${head}: ${figure(effect)}, number ${rank} of ${shown.part.effects.flat().length}.`;
    },
  };
}

/** A grid of heads as a drawing and as rows, for export. */
function gridPicture(name, {layers, heads}, value, kind, most) {
  const [left, size] = [40, 26];
  return {
    name, width: left + size * heads, height: size * (layers + 1),
    draw(pen) {
      const {css} = ramp(kind);
      for (let head = 0; head < heads; head++) {
        pen.text(left + (head + 0.5) * size, size / 2, String(head), {fill: colour("soft"), anchor: "middle"});
      }
      for (let layer = 0; layer < layers; layer++) {
        pen.text(left - 8, (layer + 1.5) * size, String(layer), {fill: colour("soft"), anchor: "end"});
        for (let head = 0; head < heads; head++) {
          const share = value(layer, head) / most;
          pen.rect(left + head * size, (layer + 1) * size, size - 1, size - 1, {fill: css(kind === "diverging" ? 0.5 + share / 2 : share)});
        }
      }
    },
    rows: () => [["layer", "head", "value"], ...Array.from({length: layers * heads}, (_, place) => {
      const [layer, head] = [Math.floor(place / heads), place % heads];
      return [layer, head, value(layer, head)];
    })],
  };
}

registerView({
  id: "ablation",
  title: "Ablation",
  hint: "What this text loses with each head",
  available: () => true,
  create(root, page, state) {
    const subject = subjectChoices(page, state);
    const panel = h("div");
    root.append(h("form", {class: "choices", onsubmit: event => event.preventDefault()}, ...subject.elements), panel);
    const effects = createAblation(panel, page, state);
    return {
      update(now, changed) {
        subject.update(now);
        effects.update(now, changed);
      },
    };
  },
});
