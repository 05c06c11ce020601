// What is looked at and how: run, text, units, special tokens, colours. Shared by the views that draw one head.

const UNLOCKED = {locked: null, lockedKey: null, token: null, key: null};

/** {element, update(now)}; with `only`, names of the controls to show. */
function toolbar(page, state, only = null) {
  const cut = text => text.length > 60 ? `${text.slice(0, 60)}…` : text;
  const numbered = labels => labels.map((label, number) => [number, label]);
  const all = {
    run: page.meta.runs.length > 1 && choice("Run", numbered(page.meta.runs.map(run => run.name)),
      value => state.set({run: Number(value), ...UNLOCKED})),
    text: page.run(0).texts.length > 1 && choice("Text", numbered(page.run(0).texts.map(one => cut(one.text))),
      value => state.set({text: Number(value), ...UNLOCKED})),
    shape: choice("Draw", [["map", "map"], ["arcs", "arcs"]], shape => state.set({shape})),
    units: choice("Units", [["tokens", "tokens"], ["words", "words"]], units => state.set({units})),
    specials: choice("Special tokens", [
      ["shown", "shown"], ["hidden", "hidden"], ["renormalised", "hidden, rows sum to 1"],
    ], specials => state.set({specials})),
    scale: choice("Colours", [
      ["head", "up to the head’s largest"], ["root", "the same, small ones raised (√)"], ["one", "up to 1"],
    ], scale => state.set({scale})),
    flow: choice("Shade the text by", [
      ["from", "what the token looks at"], ["to", "who looks at the token"],
    ], flow => state.set({flow})),
  };
  const shown = Object.entries(all).filter(([name, control]) => control && (!only || only.includes(name)));
  return {
    element: h("div", {class: "toolbar bar", role: "group", "aria-label": "What is shown"},
      ...shown.map(([, control]) => control.element)),
    update(now) {
      for (const [name, control] of shown) control.value = now[name];
    },
  };
}
