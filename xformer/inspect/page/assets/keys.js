// Keys that work anywhere on the page, except where something is typed.

const KEYS = [
  ["←  →", "head before, after (on the overview), or column (on the map)"],
  ["↑  ↓", "layer before, after (on the overview), or row (on the map)"],
  ["[  ]", "head before, after; goes on to the next layer"],
  ["Enter", "keep the weight under the pointer"], ["Esc", "let it go"],
  ["m", "map or arcs"], ["w", "tokens or words"], ["s", "special tokens: shown, hidden, left out of the sum"],
  ["f", "shade the text: what the token looks at, or who looks at it"],
  ["t", "next text"], ["r", "next run"], ["1 – 9", "views"], ["?", "these keys"],
];

function cycle(values, now) {
  return values[(values.indexOf(now) + 1) % values.length];
}

function followKeys(page, state, help) {
  const steps = {
    "[": () => stepHead(-1), "]": () => stepHead(1),
    m: now => ({shape: cycle(["map", "arcs"], now.shape)}),
    w: now => ({units: cycle(["tokens", "words"], now.units)}),
    s: now => ({specials: cycle(["shown", "hidden", "renormalised"], now.specials)}),
    f: now => ({flow: cycle(["from", "to"], now.flow)}),
    t: now => ({text: (now.text + 1) % page.run(now.run).texts.length, ...UNLOCKED}),
    r: now => ({run: (now.run + 1) % page.meta.runs.length, ...UNLOCKED}),
    Escape: () => UNLOCKED,
  };
  const stepHead = step => {
    const {run, layer, head} = state.get();
    const {layers, heads} = page.run(run);
    const next = (layer * heads + head + step + layers * heads) % (layers * heads);
    return {layer: Math.floor(next / heads), head: next % heads};
  };
  addEventListener("keydown", event => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest?.("input, select, textarea")) return;
    if (event.key === "?") {
      help.open = !help.open;
      event.preventDefault();
      return;
    }
    if (/^[1-9]$/.test(event.key)) {
      document.querySelectorAll("[role=tablist].views [role=tab]")[event.key - 1]?.click();
      return;
    }
    const patch = steps[event.key]?.(state.get());
    if (patch) state.set(patch);
  });
}

function helpLine() {
  return h("details", {class: "help"}, h("summary", {}, "Keys: press ?"),
    h("dl", {}, ...KEYS.flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])));
}
