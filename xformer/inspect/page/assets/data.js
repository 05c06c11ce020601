// What the page knows. Arrays lie deflated in <script id="blob-N"> elements and are decoded when asked for.
//
//   page.meta                                 the payload: title, runs, command
//   page.run(r), page.text(r, t)              sections of it
//   await page.blob(id)                       {data: typed array, shape: [...]}
//   await page.weights(run, text, layer, head)  Float32Array, n × n row by row (query, key)
//   await page.stats(run, text)               {names, labels, at(name, layer, head)}

const ARRAYS = {
  uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array, int32: Int32Array,
  float32: Float32Array,
};
const KEPT = 48;  // decoded heads that stay in memory: 48 of 512 tokens are 50 MB

function createPage(root = document) {
  const meta = JSON.parse(root.getElementById("payload").textContent);
  const kept = new Map();  // by id, the last used at the end

  const decode = async id => {
    const element = root.getElementById(`blob-${id}`);
    if (!element) throw new Error(`the page has no array ${id}`);
    const about = JSON.parse(element.dataset.about);
    const bytes = await inflate(fromBase64(element.textContent));
    const data = about.kind === "weights" ? weightsOf(bytes, about) : new ARRAYS[about.kind](bytes.buffer);
    return {data, shape: about.shape};
  };

  const page = {
    meta,
    run: number => meta.runs[number],
    text: (run, text) => meta.runs[run].texts[text],

    blob(id) {
      let found = kept.get(id);
      if (!found) {
        found = decode(id);
        if (kept.size >= KEPT) kept.delete(kept.keys().next().value);
      }
      kept.delete(id);
      kept.set(id, found);
      return found;
    },

    async weights(run, text, layer, head) {
      const {weights} = page.text(run, text);
      if (!weights) throw new Error("this run has no attention weights for the text");
      return (await page.blob(weights.blobs[layer][head])).data;
    },

    async stats(run, text) {
      const {statistics} = page.text(run, text);
      if (!statistics) return {names: [], labels: [], at: () => NaN};
      const {data, shape: [, layers, heads]} = await page.blob(statistics.blob);
      const places = new Map(statistics.names.map((name, place) => [name, place]));
      return {
        names: statistics.names,
        labels: statistics.labels,
        at: (name, layer, head) => data[(places.get(name) * layers + layer) * heads + head],
      };
    },
  };
  return page;
}

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Weights as `blobs.py` wrote them: the largest of each row, what each code stands for, the codes. */
function weightsOf(bytes, {shape: [rows, columns], levels, bits}) {
  const scale = new Float32Array(bytes.buffer, 0, rows);
  const table = new Float32Array(bytes.buffer, 4 * rows, levels + 1);
  const codes = bytes.subarray(4 * (rows + levels + 1));
  const mask = (1 << bits) - 1;
  const perByte = 8 / bits;
  const found = new Float32Array(rows * columns);
  for (let i = 0, at = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++, at++) {
      const code = bits === 8 ? codes[at] : (codes[(at / perByte) | 0] >> (bits * (at % perByte))) & mask;
      found[at] = scale[i] * table[code];
    }
  }
  return found;
}
