// Elements. Text is always set as text, never as HTML, so nothing that a user wrote can become a tag.

const SVG = "http:" + "//www.w3.org/2000/svg";  // a name, not an address: nothing is fetched

/** An element: h("button", {class: "x", onclick: f, hidden: true}, "label", child). */
function h(name, attributes = {}, ...children) {
  return build(document.createElement(name), attributes, children);
}

/** The same for SVG: s("path", {d: "M0,0"}). */
function s(name, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, name), attributes, children);
}

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
}

/** A labelled choice; `options` are [value, label]. Returns {element, value}, whose value can be set. */
function choice(label, options, onchange) {
  const select = h("select", {onchange: () => onchange(select.value)});
  for (const [value, text] of options) select.append(h("option", {value}, text));
  return {
    element: h("label", {}, label, select),
    get value() { return select.value; },
    set value(value) { if (select.value !== String(value)) select.value = value; },
  };
}

/** A number for people: three digits that count. */
function figure(value) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  if (Math.abs(value) < 1e-9) return "≈ 0";
  return Math.abs(value) < 0.001 ? value.toExponential(1) : Number(value.toPrecision(3)).toString();
}

function percent(value) {
  const hundredths = 100 * value;
  return `${hundredths >= 10 || hundredths === 0 ? hundredths.toFixed(0) : hundredths.toPrecision(2)}%`;
}
