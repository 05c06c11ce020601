// Colours, light and dark. Ramps change in lightness all the way, so they can be read without colour vision.

const RAMPS = {  // from nothing to all; on a dark page nothing is dark
  light: ["#ffffff", "#dbe7f6", "#a9c9ec", "#6ba1da", "#2f74bf", "#174b8f", "#0b2550"],
  dark: ["#14161a", "#15304d", "#17507f", "#2677ad", "#56a2cb", "#a2cfe0", "#f4fbff"],
};
const DIVERGING = {  // from the least through zero to the most: orange and blue
  light: ["#8a3b00", "#d9741a", "#f3c08b", "#ffffff", "#a9c9ec", "#3a7fc8", "#0b3a75"],
  dark: ["#ffc48a", "#d97a25", "#6e3b12", "#14161a", "#17406a", "#3d86c6", "#b5dcf5"],
};

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Call a function whenever light becomes dark or the other way. */
function onTheme(listener) {
  new MutationObserver(listener).observe(document.documentElement, {attributeFilter: ["data-theme"]});
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", listener);
}

function rgb(hex) {
  return [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16));
}

/** 256 colours between stops, as the pixels of an ImageData in one Uint32Array. */
function table(stops) {
  const colours = stops.map(rgb);
  return Uint32Array.from({length: 256}, (_, step) => {
    const place = step / 255 * (colours.length - 1);
    const below = Math.min(Math.floor(place), colours.length - 2);
    const [r, g, b] = [0, 1, 2].map(channel =>
      Math.round(colours[below][channel] + (place - below) * (colours[below + 1][channel] - colours[below][channel])));
    return (255 << 24 | b << 16 | g << 8 | r) >>> 0;  // little-endian RGBA
  });
}

/** {pixels: Uint32Array(256) for canvases, css(x): a colour for x from 0 to 1}. */
function ramp(kind = "sequential") {
  const pixels = table((kind === "diverging" ? DIVERGING : RAMPS)[isDark() ? "dark" : "light"]);
  const css = x => {
    const pixel = pixels[Math.round(255 * Math.min(1, Math.max(0, x)))];
    return `rgb(${pixel & 255} ${(pixel >> 8) & 255} ${(pixel >> 16) & 255})`;
  };
  return {pixels, css};
}

/** The value of one of the shell's colours: ink, soft, rule, card, paper, accent, good, bad, s0 to s8. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
