// Files that the browser saves: what is seen as SVG or PNG, the numbers behind it as CSV.
//
//   exportButtons(() => ({name, width, height, draw(pen), rows: () => [[...], ...]}))

function exportButtons(what) {
  const save = kind => async () => {
    const told = what();
    if (!told) return;
    saveFile(`${told.name}.${kind}`, await EXPORTS[kind](told));
  };
  return h("span", {class: "exports", role: "group", "aria-label": "Save"},
    ...Object.keys(EXPORTS).map(kind => h("button", {
      type: "button", "data-export": kind, title: `Save as ${kind.toUpperCase()}`, onclick: save(kind),
    }, kind.toUpperCase())));
}

const EXPORTS = {
  svg({width, height, draw}) {
    const svg = document.implementation.createDocument(SVG, "svg").documentElement;
    build(svg, {viewBox: `0 0 ${width} ${height}`, width, height}, []);
    svg.append(s("rect", {width, height, fill: colour("paper")}));
    draw(svgPen(svg));
    return new Blob([new XMLSerializer().serializeToString(svg)], {type: "image/svg+xml"});
  },
  png({width, height, draw}) {
    const sharp = 2;
    const canvas = h("canvas", {width: Math.ceil(sharp * width), height: Math.ceil(sharp * height)});
    const context = canvas.getContext("2d");
    context.scale(sharp, sharp);
    context.fillStyle = colour("paper");
    context.fillRect(0, 0, width, height);
    draw(canvasPen(context));
    return new Promise(done => canvas.toBlob(done, "image/png"));
  },
  csv({rows}) {
    // A byte-order mark, so that spreadsheets read it as UTF-8.
    return new Blob(["\ufeff" + rows().map(row => row.map(csvCell).join(",")).join("\r\n") + "\r\n"], {type: "text/csv"});
  },
};

function csvCell(value) {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function saveFile(name, blob) {
  const address = URL.createObjectURL(blob);
  const link = h("a", {href: address, download: name.replace(/[\\/:*?"<>|\s]+/g, "-")});
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}
