// A text as its tokens, in its own direction. Tokens of one grapheme share a mark; specials are set apart.
//
//   const strip = renderTokens(text, {units, onhover(unit | null), onclick(unit), label});
//   root.append(strip.element);
//   strip.shade(values, css)        colour each unit, values from 0 to 1, css(x) a colour; null: none
//   strip.mark(unit | null, name)   give one unit a class, and take it from the one before
//
// Shading is drawn on a canvas behind the text, at places measured once. Five hundred elements that each got
// a new style in each frame would not keep up with the pointer.

function renderTokens(text, {units = unitsOf(text, false, true), onhover, onclick, label = "Tokens"} = {}) {
  // Plain spans in running text, so that the browser orders scripts that run against one another.
  const marks = units.map((unit, number) => h("span", {
    class: `token${unit.special ? " special" : ""}${unit.inText === unit.label ? "" : " part"}`, role: "button", "data-unit": number,
    tabindex: number ? "-1" : "0", title: unit.tokens.map(token => `${token}: ${text.pieces[token]}`).join("\n"),
  }, unit.inText));
  const canvas = h("canvas", {"aria-hidden": "true"});
  const words = h("div", {
    class: "words", dir: text.direction, lang: text.language || null, role: "toolbar", "aria-label": label,
  }, ...marks.flatMap((mark, number) => apart(units[number - 1], units[number]) ? [" ", mark] : [mark]));
  const element = h("div", {class: "tokens"}, canvas, words);
  const shading = shadeBehind(element, canvas, marks);
  const marked = {};

  const unitAt = event => {
    const mark = event.target.closest?.(".token");
    return mark ? Number(mark.dataset.unit) : null;
  };
  if (onhover) {
    words.addEventListener("pointerover", event => onhover(unitAt(event)));
    words.addEventListener("pointerleave", () => onhover(null));
    words.addEventListener("focusin", event => onhover(unitAt(event)));
    words.addEventListener("focusout", () => onhover(null));
  }
  if (onclick) {
    words.addEventListener("click", event => { if (unitAt(event) !== null) onclick(unitAt(event)); });
  }
  // One stop for the tab key; arrows go on from there, the way the text runs.
  words.addEventListener("keydown", event => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      event.target.click();
      return;
    }
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key] * (text.direction === "rtl" ? -1 : 1);
    const next = marks[Number(event.target.dataset?.unit) + step];
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  return {
    element,
    units,
    shade: shading.shade,
    mark(unit, name) {
      const next = unit === null ? null : marks[unit];
      if (marked[name] === next) return;
      marked[name]?.classList.remove(name);
      marked[name] = next;
      next?.classList.add(name);
      if (name === "locked") next?.scrollIntoView({block: "nearest", inline: "nearest"});
    },
    end: shading.end,
  };
}

/** Whether there is a space between two units of the running text. */
function apart(before, unit) {
  return unit.spaced || unit.special || Boolean(before?.special);
}

/** Colours behind elements: {shade(values, css), end()}. */
function shadeBehind(element, canvas, marks) {
  const context = canvas.getContext("2d");
  let places = [];
  let shown = null;
  const draw = () => {
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!shown) return;
    places.forEach((boxes, number) => {
      const value = shown.values[number];
      if (!(value >= 0.02)) return;
      context.fillStyle = shown.css(value);
      for (const box of boxes) context.fillRect(...box);
    });
  };
  const measure = () => {
    const frame = element.getBoundingClientRect();
    const sharp = devicePixelRatio;
    canvas.width = Math.max(1, Math.round(frame.width * sharp));
    canvas.height = Math.max(1, Math.round(frame.height * sharp));
    canvas.style.width = `${frame.width}px`;
    canvas.style.height = `${frame.height}px`;
    // A unit that goes on in the next line has two boxes.
    places = marks.map(mark => [...mark.getClientRects()].map(box =>
      [box.left - frame.left, box.top - frame.top, box.width, box.height].map(side => Math.round(sharp * side))));
    draw();
  };
  // In the next frame: what an observer changes in size would be told to it again in this one.
  const observer = new ResizeObserver(() => requestAnimationFrame(measure));
  observer.observe(element);
  return {
    shade(values, css) {
      shown = values ? {values, css} : null;
      draw();
    },
    end: () => observer.disconnect(),
  };
}
