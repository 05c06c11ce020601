// Units: what the axes show. A unit is a token or a word, and is never a part of a grapheme alone.
//
// A unit is {tokens: [numbers], label, inText, special, start, end, spaced}; it is spaced where white space
// stands before it. Weights between units are the sum over the keys and the mean
// over the queries, so that each row still sums to 1.

const UNSPACED = /[\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u;

function segments(text, granularity, language) {
  let segmenter;
  try { segmenter = new Intl.Segmenter(language || undefined, {granularity}); } catch {
    segmenter = new Intl.Segmenter(undefined, {granularity});
  }
  return [...segmenter.segment(text)].map(one => [one.index, one.index + one.segment.length]);
}

/** What each token shows: {label, part, of}; a token within a grapheme shows all of it, as `part` of `of`. */
function tokenLabels(text) {
  if (text.labels) return text.labels;
  const clusters = segments(text.text, "grapheme", text.language);
  const shown = text.pieces.map((piece, number) => {
    let [start, end] = [text.starts[number], text.ends[number]];
    if (start === end) return {start, end, label: piece.replace(/^▁/, "") || "␣"};
    for (const [from, to] of clusters) {
      if (from < start && start < to) start = from;
      if (from < end && end < to) end = to;
    }
    const label = text.text.slice(start, end).trim();
    return {start, end, label: label || "␣"};
  });
  shown.forEach(one => { one.part = 1; one.of = 1; });
  // Tokens that share a grapheme count its parts.
  for (let first = 0; first < shown.length;) {
    let last = first;
    const same = number => shown[number].start === shown[first].start && shown[number].end === shown[first].end
      && shown[first].end > shown[first].start;
    while (last + 1 < shown.length && same(last + 1)) last++;
    for (let number = first; number <= last; number++) {
      Object.assign(shown[number], {part: number - first + 1, of: last - first + 1});
    }
    first = last + 1;
  }
  text.labels = shown;
  return shown;
}

function partLabel({label, part, of}) {
  return of > 1 ? `${label} ${part}/${of}` : label;
}

/** The word of each token; where a script has no spaces, by the browser's dictionary. */
function wordsOf(text) {
  if (!UNSPACED.test(text.text)) return text.words;
  const words = segments(text.text, "word", text.language);
  const labels = tokenLabels(text);
  return labels.map(({start, end}, number) => {
    if (text.special[number] || start === end) return -1;
    return words.findIndex(([from, to]) => from <= start && start < to);
  });
}

/** The units of a text. `merged`: words instead of tokens; `specials`: whether special tokens have units. */
function unitsOf(text, merged, specials) {
  const labels = tokenLabels(text);
  const words = merged ? wordsOf(text) : null;
  const units = [];
  let before = -1;
  text.pieces.forEach((_, number) => {
    const special = Boolean(text.special[number]);
    if (special && !specials) { before = -1; return; }
    const last = units[units.length - 1];
    const joins = merged && !special && words[number] === before && before !== -1;
    if (joins) {
      last.tokens.push(number);
      last.end = Math.max(last.end, labels[number].end);
    } else {
      units.push({tokens: [number], special, start: labels[number].start, end: labels[number].end});
    }
    before = merged && !special ? words[number] : -1;
  });
  for (const unit of units) {
    const single = unit.tokens.length === 1 ? labels[unit.tokens[0]] : null;
    unit.label = single ? partLabel(single) : text.text.slice(unit.start, unit.end).trim();
    // In the running text the parts of a grapheme follow one another, so it is written once.
    unit.inText = single && single.part > 1 ? `${single.part}/${single.of}` : unit.label;
    unit.spaced = unit.start > 0 && /\s/.test(text.text[unit.start - 1]);
  }
  return units;
}

/** Weights between units, m × m row by row. `renormalise`: rows are made to sum to 1 again. */
function mergeWeights(weights, n, units, renormalise) {
  const m = units.length;
  const found = new Float32Array(m * m);
  const unitOf = new Int32Array(n).fill(-1);
  units.forEach((unit, number) => unit.tokens.forEach(token => { unitOf[token] = number; }));
  for (let i = 0; i < n; i++) {
    const row = unitOf[i];
    if (row < 0) continue;
    const share = 1 / units[row].tokens.length;
    for (let j = 0; j < n; j++) {
      if (unitOf[j] >= 0) found[row * m + unitOf[j]] += share * weights[i * n + j];
    }
  }
  if (renormalise) {
    for (let row = 0; row < m; row++) {
      let sum = 0;
      for (let column = 0; column < m; column++) sum += found[row * m + column];
      if (sum > 0) for (let column = 0; column < m; column++) found[row * m + column] /= sum;
    }
  }
  return found;
}
