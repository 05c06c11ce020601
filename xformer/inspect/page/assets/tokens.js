// A text as its tokens, in its own direction. Tokens of one grapheme share a mark; specials are set apart.
//
//   const strip = renderTokens(text, {units, onhover(unit | null), onclick(unit)});
//   root.append(strip.element); strip.shade(values, css); strip.mark(unit | null, "locked");

function renderTokens(text, {units = unitsOf(text, false, true), onhover, onclick, label = "Tokens"} = {}) {
  const marks = units.map((unit, number) => h("button", {
    type: "button", class: unit.special ? "token special" : "token", "data-unit": number,
    tabindex: number ? "-1" : "0", dir: "auto",
    title: unit.tokens.map(token => `${token}: ${text.pieces[token]}`).join("\n"),
  }, unit.label));
  const element = h("div", {
    class: "tokens", dir: text.direction, lang: text.language || null, role: "toolbar", "aria-label": label,
  }, ...marks);
  const unitAt = event => {
    const mark = event.target.closest?.(".token");
    return mark ? Number(mark.dataset.unit) : null;
  };
  if (onhover) {
    element.addEventListener("pointerover", event => onhover(unitAt(event)));
    element.addEventListener("pointerleave", () => onhover(null));
    element.addEventListener("focusin", event => onhover(unitAt(event)));
  }
  if (onclick) element.addEventListener("click", event => { if (unitAt(event) !== null) onclick(unitAt(event)); });
  // One stop for the tab key; arrows go on from there, the way the text runs.
  element.addEventListener("keydown", event => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key] * (text.direction === "rtl" ? -1 : 1);
    const next = marks[Number(event.target.dataset.unit) + step];
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  const marked = {};
  return {
    element,
    units,
    /** Colour each unit: values from 0 to 1, css(x) a colour. */
    shade(values, css) {
      marks.forEach((mark, number) => {
        mark.style.backgroundColor = values ? css(values[number]) : "";
        mark.style.color = values && values[number] > 0.5 ? "var(--paper)" : "";
      });
    },
    /** Give one unit a class, and take it from the one before. */
    mark(unit, name) {
      marked[name]?.classList.remove(name);
      marked[name] = unit === null ? null : marks[unit];
      marked[name]?.classList.add(name);
    },
  };
}
