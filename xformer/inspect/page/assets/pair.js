// Sentence A beside sentence B: lines of attention by layer and head, next to likeness of hidden states. See pair.py.

const PAIR_ABSENT = "The page has one text alone. Give its translation, and the two stand side by side:";

const PAIR_KINDS = {
  "joined-encoder": "Attention: both texts are read as one sequence, A and then B. Likeness: each text is read alone.",
  "encoder-decoder": "Attention: cross-attention, from B, the target, to A, the source.",
};
const PAIR_WAYS = {a_to_b: "A looks at B", b_to_a: "B looks at A", both: "the mean of both"};

/** A matrix over the chosen tokens of A and B: {at(i, j), rows, columns}, from data of all `columns` tokens. */
function submatrix(data, columns, as, bs, turned = false) {
  return {rows: as.length, columns: bs.length, at: (i, j) => turned ? data[bs[j] * columns + as[i]] : data[as[i] * columns + bs[j]]};
}

async function attentionMatrix(page, part, way, layer, head, as, bs) {
  const take = async name => {
    const {data, shape} = await page.blob(part[name][layer][head]);
    return submatrix(data, shape[1], as, bs, name === "b_to_a");
  };
  if (way !== "both") return take(way);
  const [one, other] = await Promise.all([take("a_to_b"), take("b_to_a")]);
  return {...one, at: (i, j) => (one.at(i, j) + other.at(i, j)) / 2};
}

async function likenessMatrix(page, part, number, as, bs) {
  const {data, shape} = await page.blob(part.cosine[number]);
  const whole = submatrix(data, shape[1], as, bs);
  return {...whole, at: (i, j) => whole.at(i, j) / 127};
}

/** The share of pairs of tokens where the one that looks looks at its partner before all else. */
function agreement(matrix, pairs, way) {
  if (!pairs.length) return NaN;
  const hits = pairs.filter(({i, j}) => {
    const value = matrix.at(i, j);
    if (value <= 0) return false;
    const [count, at] = way === "b_to_a" ? [matrix.rows, other => matrix.at(other, j)] : [matrix.columns, other => matrix.at(i, other)];
    for (let other = 0; other < count; other++) if (at(other) > value) return false;
    return true;
  });
  return hits.length / pairs.length;
}

registerView({
  id: "pair",
  title: "Pair",
  hint: "A sentence beside its translation",
  available: () => true,
  create(root, page, state) {
    const absent = h("div");
    const body = h("div", {class: "pair"});
    root.append(absent, body);
    let built = null, shown = -1;
    return {
      update(now, changed) {
        const part = page.run(now.run)?.pair ?? {why: PAIR_ABSENT};
        body.hidden = Boolean(part.why);
        absent.replaceChildren();
        if (part.why) {
          showAbsent(absent, part.why, part.why === PAIR_ABSENT ? 'xformer inspect page RUN TEXT --pair "TRANSLATION"' : "");
          return;
        }
        if (shown !== now.run) {
          shown = now.run;
          body.replaceChildren();
          built = createPair(body, page, state, part);
        }
        built.update(now, changed);
      },
    };
  },
});

function createPair(root, page, state, part) {
  const run = state.get().run;
  const [a, b] = part.texts.map(text => page.text(run, text));
  const own = text => text.pieces.map((_, token) => token).filter(token => !text.special[token]);
  const [as, bs] = [own(a), own(b)];
  const ways = Object.entries(PAIR_WAYS).filter(([way]) => way === "both" ? part.a_to_b && part.b_to_a : part[way]);
  const states = part.cosine.length;
  const subject = subjectChoices(page, state);
  const heads = headChoices(page, state);
  const redraw = () => draw(state.get());
  const way = choice("Direction", ways, value => state.set({way: value}));
  const layerOfStates = choice("States", Array.from({length: states}, (_, one) => [one, one ? `after layer ${one - 1}` : "before layer 0"]),
    value => state.set({states: value}));
  const modes = [["mutual", "each the other’s best"], ["best", "the best of each token of A"], ["all", "all"]];
  const soft = ["soft", "soft: softmax over B times softmax over A"];
  const [mode, modeRight] = [choice("Lines", modes, redraw), choice("Lines", [...modes, soft], redraw)];
  mode.value = "best";
  const least = h("input", {type: "range", min: 0, max: 0.95, step: 0.05, value: 0.1, "aria-label": "Least share of the largest value that has a line", oninput: redraw});
  const measure = choice("Colour", [["crossing", "attention that goes across"], ["agreement", "agreement with the states’ pairs"]], redraw);

  const left = tokenLines({left: a, right: b, leftNumbers: as, rightNumbers: bs, label: "Attention between the two texts"});
  const right = tokenLines({left: a, right: b, leftNumbers: as, rightNumbers: bs, label: "Likeness of hidden states"});
  const {layers, heads: count} = page.run(run);
  const grid = headGrid({layers, heads: count, label: "Heads between the two texts", onpick: (layer, head) => state.set({layer, head})});
  const [titleLeft, titleRight, gridWords] = [h("h3"), h("h3"), h("p", {class: "note", "aria-live": "polite"})];
  const fit = text => h("p", {dir: text.direction, lang: text.language || null}, text.text);
  root.append(
    h("form", {class: "choices", onsubmit: event => event.preventDefault()}, subject.elements[0], heads.element, way.element,
      layerOfStates.element, h("label", {}, "Lines from", least)),
    h("div", {class: "both-texts"}, h("div", {}, h("b", {}, "A"), fit(a)), h("div", {}, h("b", {}, "B"), fit(b))),
    h("div", {class: "beside"},
      h("section", {}, titleLeft, mode.element, left.element, exportButtons(() => left.picture("attention-pair"))),
      h("section", {}, titleRight, modeRight.element, right.element, exportButtons(() => right.picture("likeness-pair"))),
      h("section", {}, h("h3", {}, "All heads"), measure.element, grid.element, rampLegend(["0", "1"]), gridWords)),
    h("p", {class: "note"}, PAIR_KINDS[part.kind] ?? part.kind, ` A weight is off by at most ${figure(part.error)}. `, (part.notes ?? []).join(" ")),
  );

  const turn = latest();
  let inGrid = "";
  const strongest = matrix => {
    let most = 0;
    for (let i = 0; i < matrix.rows; i++) for (let j = 0; j < matrix.columns; j++) most = Math.max(most, matrix.at(i, j));
    return most;
  };
  const draw = async now => {
    const mine = turn.next();
    const [layer, head] = headOf(page, now);
    const [attention, alike] = await Promise.all([
      attentionMatrix(page, part, way.value, layer, head, as, bs),
      likenessMatrix(page, part, Number(layerOfStates.value), as, bs),
    ]);
    if (!turn.is(mine)) return;
    const share = Number(least.value);
    left.show(alignmentLines(attention, mode.value, share * strongest(attention)));
    const [links, how] = modeRight.value === "soft" ? [softAlignment(alike), "all"] : [alike, modeRight.value];
    right.show(alignmentLines(links, how, share * strongest(links)));
    titleLeft.textContent = `Attention, layer ${layer}, head ${head}: ${PAIR_WAYS[way.value]}`;
    titleRight.textContent = `Likeness of states ${Number(layerOfStates.value) ? `after layer ${layerOfStates.value - 1}` : "before layer 0"} (cosine)`;
    grid.mark(layer, head);
    await colourGrid(alignmentLines(alike, "mutual", 0), mine);
  };
  const colourGrid = async (pairs, mine) => {
    const now = `${measure.value} ${way.value} ${layerOfStates.value} ${isDark()}`;
    if (inGrid === now) return;
    const values = [];
    for (let layer = 0; layer < layers; layer++) {
      values.push([]);
      for (let head = 0; head < count; head++) {
        const [to, back] = part.crossing[layer][head];
        values[layer].push(measure.value === "crossing"
          ? {a_to_b: to, b_to_a: back, both: (to + back) / 2}[way.value]
          : agreement(await attentionMatrix(page, part, way.value, layer, head, as, bs), pairs, way.value));
      }
    }
    if (!turn.is(mine)) return;
    inGrid = now;
    const {css} = ramp();
    grid.paint((layer, head) => ({share: values[layer][head], words: percent(values[layer][head])}), css);
    gridWords.textContent = measure.value === "crossing"
      ? "The share of attention that tokens of one text give to the other’s."
      : `The share of the ${pairs.length} pairs of tokens that are most alike, each to the other, where the head looks from the one at the other before all else.`;
  };
  onTheme(redraw);
  return {
    update(now, changed) {
      subject.update(now);
      heads.update(now);
      way.value = ways.some(([name]) => name === now.way) ? now.way : ways[0][0];
      layerOfStates.value = numberOf(now.states, states, states - 1);
      if (["run", "layer", "head", "view", "way", "states"].some(name => changed.has(name))) draw(now);
    },
  };
}
