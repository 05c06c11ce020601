// One drawing, two ways: on a canvas for the screen and for PNG, as elements for SVG. So what is exported is
// what is seen, and no picture has to be loaded, which the page's policy forbids.
//
//   pen.rect(x, y, w, h, {fill, stroke, width, opacity})
//   pen.path(d, {stroke, width, opacity, fill, dash})          d as in SVG
//   pen.text(x, y, words, {fill, size, weight, anchor, turn, direction})   anchor: start, middle, end; turn: degrees
//   pen.bitmap(x, y, w, h, canvas)                             cells, not smoothed

const FONT = "system-ui, sans-serif";

function canvasPen(context) {
  const styled = ({opacity = 1}, draw) => {
    context.save();
    context.globalAlpha = opacity;
    draw();
    context.restore();
  };
  return {
    rect(x, y, w, height, style) {
      styled(style, () => {
        if (style.fill) { context.fillStyle = style.fill; context.fillRect(x, y, w, height); }
        if (style.stroke) {
          context.strokeStyle = style.stroke;
          context.lineWidth = style.width ?? 1;
          context.strokeRect(x, y, w, height);
        }
      });
    },
    path(d, style) {
      styled(style, () => {
        const path = new Path2D(d);
        if (style.fill) { context.fillStyle = style.fill; context.fill(path); }
        if (style.stroke) {
          context.strokeStyle = style.stroke;
          context.lineWidth = style.width ?? 1;
          context.setLineDash(style.dash ?? []);
          context.stroke(path);
        }
      });
    },
    text(x, y, words, style) {
      styled(style, () => {
        context.translate(x, y);
        context.rotate((style.turn ?? 0) * Math.PI / 180);
        context.direction = style.direction ?? "ltr";
        context.textAlign = {start: "left", middle: "center", end: "right"}[style.anchor ?? "start"];
        context.textBaseline = "middle";
        context.font = `${style.weight ?? 400} ${style.size ?? 12}px ${FONT}`;
        context.fillStyle = style.fill;
        context.fillText(words, 0, 0);
      });
    },
    bitmap(x, y, w, height, canvas) {
      context.imageSmoothingEnabled = false;
      context.drawImage(canvas, x, y, w, height);
    },
  };
}

function svgPen(svg) {
  const painted = style => ({
    fill: style.fill ?? "none", stroke: style.stroke ?? "none",
    "stroke-width": style.stroke ? style.width ?? 1 : null,
    "stroke-dasharray": style.dash?.join(" "), opacity: style.opacity,
  });
  return {
    rect(x, y, width, height, style) {
      svg.append(s("rect", {x, y, width, height, ...painted(style)}));
    },
    path(d, style) {
      svg.append(s("path", {d, ...painted(style)}));
    },
    text(x, y, words, style) {
      const rtl = style.direction === "rtl";
      const anchor = style.anchor ?? "start";
      svg.append(s("text", {
        transform: `translate(${x} ${y})${style.turn ? ` rotate(${style.turn})` : ""}`,
        direction: style.direction,
        // As a style, since that of the page would otherwise win over attributes.
        style: `font: ${style.weight ?? 400} ${style.size ?? 12}px ${FONT}; fill: ${style.fill}`,
        // Start and end are those of the text's direction; here they are left and right.
        "text-anchor": rtl ? {start: "end", end: "start"}[anchor] ?? anchor : anchor,
        "dominant-baseline": "central", opacity: style.opacity,
      }, words));
    },
    bitmap(x, y, width, height, canvas) {
      // Made in the drawing's own document: in the page's, the image would be loaded, which its policy forbids.
      svg.append(build(svg.ownerDocument.createElementNS(SVG, "image"), {
        x, y, width, height, href: canvas.toDataURL(), preserveAspectRatio: "none",
        style: "image-rendering: pixelated",
      }, []));
    },
  };
}
