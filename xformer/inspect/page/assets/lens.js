// The logit lens: what the masked LM would predict at each token, if a layer were the last. See lens.py.

const LENS_ABSENT = "The page has no predictions of layers for this text. A page that xformer inspect page makes has them.";

/** Decoded: at(state, token) is {own, rank, best: [{piece, probability}]}. */
async function loadLens(page, part, how) {
  const names = ["ids", "probabilities", "own", "rank"];
  const [ids, probabilities, own, rank] = await Promise.all(names.map(name => page.blob(part[how][name])));
  const [states, n, k] = ids.shape;
  return {
    states, n,
    at(layer, token) {
      const place = layer * n + token;
      return {
        own: own.data[place],
        rank: rank.data[place],
        best: Array.from({length: k}, (_, one) => ({
          piece: part.pieces[ids.data[place * k + one]], probability: probabilities.data[place * k + one],
        })),
      };
    },
  };
}

/** A piece as people read it: a word's beginning has no ▁, a continuation keeps its mark. */
function readable(piece) {
  return piece === "▁" ? "␣" : piece.replace(/^▁/u, "");
}

function lensDetail(lens, layer, token, text) {
  const {own, rank, best} = lens.at(layer, token);
  const state = layer ? `after layer ${layer - 1}` : "before layer 0";
  const line = ({piece, probability}) => h("li", {}, h("span", {class: "bar-row"}, h("bdi", {class: "piece"}, readable(piece)),
    h("span", {class: "number"}, percent(probability)),
    h("span", {class: "length", style: `width: ${(100 * probability).toFixed(1)}%`, role: "presentation"})));
  const where = Number.isInteger(rank) ? `number ${rank}` : `about number ${rank}, level with others`;
  return [
    h("p", {}, `Token ${token} `, h("bdi", {class: "piece"}, tokenLabels(text)[token].label), `, ${state}:`),
    h("ol", {class: "row-list"}, ...best.map(line)),
    h("p", {}, "The piece that stands there, ", h("bdi", {class: "piece"}, readable(text.pieces[token])), `: ${percent(own)}, ${where} of the vocabulary.`),
  ];
}

registerView({
  id: "lens",
  title: "Logit lens",
  hint: "What each layer would predict at each token",
  available: () => true,
  create(root, page, state) {
    const subject = subjectChoices(page, state);
    const absent = h("div");
    const box = h("div", {class: "scroll lens"});
    const detail = h("div", {class: "lens-detail", "aria-live": "polite"});
    const shade = choice("Colour", [["best", "probability of the best piece"], ["own", "probability of the piece that stands there"]], () => paint());
    const how = choice("Tokens", [["hidden", "each hidden in turn"], ["shown", "as they stand"]], value => state.set({lens: value}));
    const asShown = h("span", {}, "Tokens are predicted as they stand: a shorter text, of a model with a mask, also has each of them hidden in turn.");
    let table = null, cells = [], lens = null, chosen = [0, 0], text = null;
    const saves = exportButtons(() => table);
    const form = h("form", {class: "choices", onsubmit: event => event.preventDefault()}, ...subject.elements, how.element, shade.element, saves);
    const hint = h("p", {class: "note"}, "Rows are tokens, columns are states of the residual stream: 0 before the first layer, then one after each. ",
      "The head was trained on the last alone, so an early state that predicts nothing may know more than it can say. ",
      "A frame marks a best piece that is the one that stands there. ", asShown);
    root.append(form, absent, h("div", {class: "beside"}, box, detail), hint);

    const paint = () => {
      if (!lens) return;
      const {css} = ramp();
      cells.forEach((cell, place) => {
        const [token, layer] = [Math.floor(place / lens.states), place % lens.states];
        const {own, best} = lens.at(layer, token);
        const share = shade.value === "own" ? own : best[0].probability;
        cell.style.backgroundColor = css(share);
        cell.style.color = inkOn(css(share));
      });
    };
    const choose = (token, layer) => {
      chosen = [token, layer];
      cells.forEach((cell, place) => {
        const here = place === token * lens.states + layer;
        cell.tabIndex = here ? 0 : -1;
        if (here) cell.setAttribute("aria-current", "true"); else cell.removeAttribute("aria-current");
      });
      detail.replaceChildren(...lensDetail(lens, layer, token, text));
    };
    box.addEventListener("click", event => {
      const place = cells.indexOf(event.target.closest("button"));
      if (place >= 0) choose(Math.floor(place / lens.states), place % lens.states);
    });
    box.addEventListener("keydown", event => {
      const [down, right] = {ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1]}[event.key] ?? [0, 0];
      const [token, layer] = [chosen[0] + down, chosen[1] + right];
      if ((!down && !right) || token < 0 || token >= lens.n || layer < 0 || layer >= lens.states) return;
      event.preventDefault();
      event.stopPropagation();
      choose(token, layer);
      cells[token * lens.states + layer].focus();
    });
    const fill = async now => {
      const part = partOf(page, state, "lens", LENS_ABSENT);
      const here = !part.why;
      for (const one of [box, detail, hint, how.element, shade.element, saves]) one.hidden = !here;
      absent.replaceChildren();
      lens = null;
      if (!here) { showAbsent(absent, part.why); return; }
      const mine = turn.next();
      how.element.hidden = !part.hidden;
      asShown.hidden = Boolean(part.hidden);
      const found = await loadLens(page, part, part.hidden ? how.value : "shown");
      if (!turn.is(mine)) return;
      lens = found;
      text = page.text(now.run, now.text);
      const labels = tokenLabels(text).map(partLabel);
      cells = [];
      const rows = labels.map((label, token) => h("tr", {}, h("th", {scope: "row"}, h("bdi", {class: "piece"}, label)),
        ...Array.from({length: lens.states}, (_, layer) => {
          const {best} = lens.at(layer, token);
          const cell = h("button", {
            type: "button", tabindex: "-1", class: text.pieces[token] === best[0].piece ? "guess right" : "guess",
            title: best.map(one => `${readable(one.piece)} ${percent(one.probability)}`).join("\n"),
          }, h("bdi", {}, readable(best[0].piece)));
          cells.push(cell);
          return h("td", {}, cell);
        })));
      box.replaceChildren(h("table", {"aria-label": "The most probable piece of each token after each layer"},
        h("thead", {}, h("tr", {}, h("th", {scope: "col"}, "token"), ...Array.from({length: lens.states}, (_, layer) => h("th", {scope: "col"}, String(layer))))),
        h("tbody", {}, ...rows)));
      paint();
      choose(Math.min(chosen[0], lens.n - 1), Math.min(lens.states - 1, chosen[1] || lens.states - 1));
      table = lensPicture(lens, labels);
    };
    const turn = latest();
    onTheme(paint);
    return {
      update(now, changed) {
        subject.update(now);
        how.value = now.lens === "shown" ? "shown" : "hidden";
        if (["run", "text", "lens"].some(name => changed.has(name))) fill(now);
      },
    };
  },
});

/** The table as a drawing and as rows, for export. */
function lensPicture(lens, labels) {
  const [left, column, row] = [110, 92, 22];
  const cut = words => abbreviated(words, 12);
  return {
    name: "logit-lens", width: left + column * lens.states, height: row * (lens.n + 1),
    draw(pen) {
      const {css} = ramp();
      for (let layer = 0; layer < lens.states; layer++) {
        pen.text(left + (layer + 0.5) * column, row / 2, String(layer), {fill: colour("soft"), anchor: "middle"});
      }
      labels.forEach((label, token) => {
        const y = (token + 1) * row;
        pen.text(left - 6, y + row / 2, cut(label), {fill: colour("ink"), anchor: "end"});
        for (let layer = 0; layer < lens.states; layer++) {
          const {best} = lens.at(layer, token);
          const fill = css(best[0].probability);
          pen.rect(left + layer * column, y, column - 1, row - 1, {fill});
          pen.text(left + (layer + 0.5) * column, y + row / 2, cut(readable(best[0].piece)),
            {fill: inkOn(fill), anchor: "middle"});
        }
      });
    },
    rows: () => [["token", "piece", "state", "predicted", "probability", "probability of the token", "rank of the token"],
      ...labels.flatMap((label, token) => Array.from({length: lens.states}, (_, layer) => {
        const {own, rank, best} = lens.at(layer, token);
        return [token, label, layer, best[0].piece, best[0].probability, own, rank];
      }))],
  };
}
