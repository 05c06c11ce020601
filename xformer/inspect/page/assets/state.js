// One store: what is looked at. Views read it, change it, and are told of changes at most once a frame.
//
//   state.get()            the whole state; do not change it in place
//   state.set({layer: 3})  change some of it
//   state.on(fn)           fn(now, changed) with a Set of the names that changed; returns what ends it
//
// What is in URL_KEYS stands in the address after `#`, so that a link opens what its sender saw.

const DEFAULTS = {
  view: "attention",    // which view is open
  run: 0, text: 0,      // which run and which of its texts
  layer: 0, head: 0,
  shape: "map",         // "map" or "arcs": how one head is drawn
  units: "tokens",      // "tokens" or "words"
  specials: "shown",    // "shown", "hidden" or "renormalised"
  scale: "head",        // "head", "root" or "one": up to what colours go
  flow: "from",         // "from" or "to": which way a token shades the text
  sort: "layer",        // by what the heads' table is ordered
  down: false,          // the largest first
  filter: "",           // which heads are listed
  locked: null,         // number of the token that is kept under the pointer, as a query
  lockedKey: null,      // and as a key, where a single weight is kept
  way: "a_to_b",        // pair: which text looks at the other
  states: "",           // pair: the layer of the states that are likened; the last if it is left out
  lens: "hidden",       // lens: "hidden" or "shown", whether a token is hidden while it is predicted
  other: "",            // compare: number of the other run; the last if it is left out
  frame: "",            // film: which checkpoint; the last if it is left out
  token: null,          // number of the token under the pointer, as a query
  key: null,            // and as a key
};
const URL_KEYS = ["view", "run", "text", "layer", "head", "shape", "units", "specials", "scale", "flow", "sort", "down", "filter",
  "locked", "lockedKey", "way", "states", "lens", "other", "frame"];

function createState(defaults) {
  let now = {...defaults};
  let changed = new Set();
  let waiting = 0;
  const listeners = new Set();

  const flush = () => {
    waiting = 0;
    const told = changed;
    changed = new Set();
    for (const listener of [...listeners]) {
      try { listener(now, told); } catch (error) { console.error(error); }
    }
  };

  return {
    get: () => now,
    set(patch) {
      for (const [name, value] of Object.entries(patch)) {
        if (now[name] !== value) changed.add(name);
      }
      if (!changed.size) return;
      now = {...now, ...patch};
      if (!waiting) waiting = requestAnimationFrame(flush);
    },
    on(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The state that an address asks for, as far as it makes sense: kinds are those of the defaults. */
function fromHash(hash, defaults, limits) {
  const found = {};
  const numbers = new Set([...Object.keys(limits), "locked", "lockedKey"]);
  for (const [name, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
    if (!URL_KEYS.includes(name)) continue;
    if (numbers.has(name)) {
      const number = Number(text);
      if (text !== "" && Number.isInteger(number) && number >= 0 && number < (limits[name] ?? Infinity)) {
        found[name] = number;
      }
    } else if (typeof defaults[name] === "boolean") found[name] = text === "true";
    else found[name] = text;
  }
  return found;
}

function toHash(now, defaults) {
  const told = new URLSearchParams();
  for (const name of URL_KEYS) {
    if (now[name] !== defaults[name] && now[name] !== null) told.set(name, now[name]);
  }
  return told.toString();
}

/** Keep address and state in step. In a notebook's frame there is no address to write to; that is no error. */
function followAddress(state, defaults, limits) {
  let late = 0;
  const write = () => {
    const hash = toHash(state.get(), defaults);
    if (location.hash.slice(1) === hash) return;
    try { history.replaceState(null, "", `#${hash}`); } catch { /* a frame without an address */ }
  };
  state.on((_, changed) => {
    if (!URL_KEYS.some(name => changed.has(name))) return;
    clearTimeout(late);
    late = setTimeout(write, 100);
  });
  addEventListener("hashchange", () => state.set({...defaults, ...fromHash(location.hash, defaults, limits)}));
}
