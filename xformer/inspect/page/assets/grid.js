// Layers by heads as a small heat map: one button a cell. Arrows move, Enter chooses.
//
//   const grid = headGrid({layers, heads, label, onpick(layer, head), first = 0});
//   grid.paint((layer, head) => ({share, words}), css); grid.mark(layer, head);

function headGrid({layers, heads, label, onpick, rowName = "layer", columnName = "head"}) {
  const cells = [];
  const body = h("tbody");
  for (let layer = 0; layer < layers; layer++) {
    const row = h("tr", {}, h("th", {scope: "row"}, String(layer)));
    for (let head = 0; head < heads; head++) {
      const cell = h("button", {
        type: "button", class: "cell", tabindex: cells.length ? "-1" : "0", "data-place": cells.length,
        onclick: () => onpick(layer, head),
      });
      cells.push(cell);
      row.append(h("td", {}, cell));
    }
    body.append(row);
  }
  const top = h("tr", {}, h("th", {scope: "col", title: `Rows are ${rowName}s, columns are ${columnName}s.`}, "↓ →"),
    ...Array.from({length: heads}, (_, head) => h("th", {scope: "col"}, String(head))));
  const element = h("div", {class: "scroll grid"}, h("table", {"aria-label": label}, h("thead", {}, top), body));
  body.addEventListener("keydown", event => {
    const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: heads, ArrowUp: -heads}[event.key];
    const place = Number(event.target.dataset?.place);
    if (!step || Number.isNaN(place) || !cells[place + step]) return;
    if (Math.abs(step) === 1 && Math.floor(place / heads) !== Math.floor((place + step) / heads)) return;
    event.preventDefault();
    event.stopPropagation();
    cells[place].tabIndex = -1;
    cells[place + step].tabIndex = 0;
    cells[place + step].focus();
  });
  let marked = null;
  return {
    element,
    /** what(layer, head): {share: where in the ramp, 0 to 1, or NaN for nothing; words: for people}. */
    paint(what, css) {
      cells.forEach((cell, place) => {
        const [layer, head] = [Math.floor(place / heads), place % heads];
        const {share, words} = what(layer, head);
        cell.style.backgroundColor = Number.isFinite(share) ? css(share) : "transparent";
        cell.title = `${rowName} ${layer}, ${columnName} ${head}: ${words}`;
        cell.setAttribute("aria-label", cell.title);
      });
    },
    mark(layer, head) {
      marked?.removeAttribute("aria-current");
      marked = cells[layer * heads + head] ?? null;
      marked?.setAttribute("aria-current", "true");
    },
  };
}

/** What a ramp's colours stand for: its least, its middle and its most. */
function rampLegend(words, kind = "sequential") {
  const bar = h("span", {class: "bar", role: "presentation"});
  const element = h("p", {class: "ramp note"}, words[0], bar, words[1]);
  const paint = () => {
    const {css} = ramp(kind);
    const stops = Array.from({length: 9}, (_, step) => css(step / 8));
    bar.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  };
  paint();
  onTheme(paint);
  return element;
}

/** A sentence in place of a view that has nothing to show: why, and what would give it something. */
function showAbsent(root, why, command = "") {
  root.replaceChildren(h("p", {class: "absent-view", role: "note"}, why, command && " "), command ? h("pre", {class: "command"}, command) : "");
}

/** The part of a run for a text, {why} if the page has none. `parts` is a list with a part for each text. */
function partOf(page, state, name, why) {
  const {run, text} = state.get();
  return page.run(run)?.[name]?.[text] ?? {why};
}

/** Choices of run and text, where there are several; both follow the state. */
function subjectChoices(page, state) {
  const runs = choice("Run", page.meta.runs.map((run, number) => [number, run.name]), value => state.set({run: Number(value), ...UNLOCKED}));
  const texts = choice("Text", page.run(0).texts.map((text, number) => [number, abbreviated(text.text, 40)]),
    value => state.set({text: Number(value), ...UNLOCKED}));
  runs.element.hidden = page.meta.runs.length < 2;
  texts.element.hidden = page.run(0).texts.length < 2;
  return {
    elements: [runs.element, texts.element],
    update(now) { runs.value = now.run; texts.value = now.text; },
  };
}

/** A number of the state that is kept as a text, or another where it names none of `count`. */
function numberOf(text, count, otherwise) {
  return /^\d+$/.test(text) && Number(text) < count ? Number(text) : otherwise;
}

/** The layer and head that are looked at; the last ones of a run that has fewer. */
function headOf(page, {run, layer, head}) {
  const {layers, heads} = page.run(run);
  return [Math.min(layer, layers - 1), Math.min(head, heads - 1)];
}

/** Choices of layer and head that follow the state and the run. */
function headChoices(page, state) {
  const box = h("span", {class: "choices"});
  let shown = "";
  let pair = [];
  return {
    element: box,
    update(now) {
      const {layers, heads} = page.run(now.run);
      if (shown !== `${layers} ${heads}`) {
        shown = `${layers} ${heads}`;
        const numbers = count => Array.from({length: count}, (_, one) => [one, String(one)]);
        pair = [
          choice("Layer", numbers(layers), value => state.set({layer: Number(value)})),
          choice("Head", numbers(heads), value => state.set({head: Number(value)})),
        ];
        box.replaceChildren(...pair.map(one => one.element));
      }
      headOf(page, now).forEach((value, axis) => { pair[axis].value = value; });
    },
  };
}

/** Black or white, whichever is read better on a colour "rgb(r g b)" (WCAG's relative luminance). */
function inkOn(css) {
  const [r, g, b] = css.match(/\d+/g).map(value => (value / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#000" : "#fff";
}

/** The first graphemes of a text, with … where there are more. */
function abbreviated(text, most) {
  const parts = [...new Intl.Segmenter(undefined, {granularity: "grapheme"}).segment(text)];
  return parts.length <= most ? text : parts.slice(0, most - 1).map(one => one.segment).join("") + "…";
}

/** Only the newest of several waits counts: `const turn = latest(); … if (!turn.is(mine)) return;` */
function latest() {
  let newest = 0;
  return {next: () => ++newest, is: turn => turn === newest};
}
