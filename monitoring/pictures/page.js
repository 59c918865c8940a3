"use strict";
/* Draws what `views` prepared. Texts are set as text, never as markup: label values are not to be trusted. */

const TEXT = "#ccccdc", GRID = "rgba(204, 204, 220, 0.08)", TRACK = "#2a2d33";
const AXIS_FONT = '11px Inter, "DejaVu Sans", "Liberation Sans", Arial, sans-serif';

function make(parent, tag, name = "", text = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text;
  parent.append(made);
  return made;
}

function shape(parent, tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

function keys(parent, entries) {
  for (const entry of entries) make(parent, "span", "key", entry.name).style.setProperty("--colour", entry.colour);
}

function faded(colour, opacity) {
  return colour + Math.round(opacity * 255).toString(16).padStart(2, "0");
}

/* -- graphs: uPlot -- */

function axis(scale, more) {
  return { splits: () => scale.ticks, values: () => scale.labels, stroke: TEXT, font: AXIS_FONT,
    grid: { stroke: GRID, width: 1 }, ticks: { show: false }, ...more };
}

function drawMarks(plot, marks) {
  const { ctx, bbox } = plot;
  for (const mark of marks) {
    const [from, to] = [mark.start, mark.end].map((time) => Math.max(plot.valToPos(time, "x", true), bbox.left));
    ctx.save();
    ctx.fillStyle = faded(mark.colour, 0.12);
    ctx.fillRect(from, bbox.top, to - from, bbox.height);
    ctx.strokeStyle = mark.colour;
    ctx.setLineDash([4, 4]);
    ctx.beginPath();
    for (const at of [from, to]) {
      ctx.moveTo(at, bbox.top);
      ctx.lineTo(at, bbox.top + bbox.height);
    }
    ctx.stroke();
    ctx.restore();
  }
}

function graph(body, drawing, done) {
  const box = make(body, "div", "plot");
  if (drawing.legend.length) keys(make(body, "div", "legend"), drawing.legend);
  const series = drawing.lines.map((line) => ({
    stroke: line.colour, width: drawing.width, points: { show: false },
    fill: drawing.fill ? faded(line.colour, drawing.fill) : undefined,
    paths: drawing.bars ? uPlot.paths.bars({ size: [0.9, 60] }) : undefined,
  }));
  // Of a pile the upper ones are drawn first and only down to the one below, so that no colour shines through another.
  const order = drawing.lines.map((_, number) => number);
  if (drawing.piled) order.reverse();
  const bands = drawing.piled ? order.slice(0, -1).map((_, at) => ({ series: [at + 1, at + 2] })) : [];
  const longest = (labels) => Math.max(...labels.map((label) => label.length));
  const options = {
    width: box.clientWidth, height: box.clientHeight, padding: [8, 3.5 * longest(drawing.x.labels), 0, 0], bands,
    legend: { show: false }, cursor: { show: false },
    scales: {
      x: { time: false, range: [drawing.x.low, drawing.x.high] },
      y: { range: [drawing.y.low, drawing.y.high] },
    },
    axes: [
      axis(drawing.x, { size: 26, gap: 6 }),
      axis(drawing.y, { size: 18 + 6.6 * longest(drawing.y.labels), gap: 6 }),
    ],
    series: [{}, ...order.map((number) => series[number])],
    hooks: { draw: [(plot) => { drawMarks(plot, drawing.marks); done(); }] },
  };
  new uPlot(options, [drawing.times, ...order.map((number) => drawing.lines[number].values)], box);
}

/* -- the other kinds: HTML and SVG -- */

function numbers(body, drawing, done) {
  const box = make(body, "div", "numbers");
  for (const item of drawing.items) {
    if (item.course.length) spark(box, item);
    box.classList.toggle("sparkling", item.course.length > 0);
    const number = make(box, "div", "number", item.text);
    number.style.color = item.colour;
    const room = box.clientWidth / drawing.items.length / (0.64 * item.text.length);
    number.style.fontSize = `${Math.round(Math.min(box.clientHeight * 0.5, room, 64))}px`;
  }
  done();
}

function spark(box, item) {
  const known = item.course.filter((value) => value !== null), top = Math.max(...known, 1e-9);
  const image = shape(box, "svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" });
  const last = item.course.length - 1;
  const place = (value, at) => [(at / last) * 100, 98 - (value / top) * 94];
  const points = item.course.flatMap((value, at) => (value === null ? [] : [place(value, at)]));
  const line = points.map((point) => point.join(",")).join(" ");
  const area = `${points[0][0]},100 ${line} ${points.at(-1)[0]},100`;
  shape(image, "polygon", { points: area, fill: faded(item.colour, 0.2) });
  shape(image, "polyline", { points: line, fill: "none", stroke: item.colour, "vector-effect": "non-scaling-stroke" });
}

function bars(body, drawing, done) {
  const box = make(body, "div", "bars");
  for (const item of drawing.items) {
    make(box, "div", "name", item.name);
    const bar = make(make(box, "div", "track"), "div");
    bar.style.width = `${item.share * 100}%`;
    bar.style.background = item.colour;
    make(box, "div", "text", item.text).style.color = item.colour;
  }
  done();
}

function arc(parent, radius, width, colour, from, to) {
  if (to <= from) return;
  const at = (turn) => [Math.sin(turn * 2 * Math.PI) * radius, -Math.cos(turn * 2 * Math.PI) * radius].join(" ");
  const end = Math.min(to, from + 0.9999); // an arc of a whole turn would have no length
  const path = `M ${at(from)} A ${radius} ${radius} 0 ${end - from > 0.5 ? 1 : 0} 1 ${at(end)}`;
  shape(parent, "path", { d: path, fill: "none", stroke: colour, "stroke-width": width });
}

function dials(body, drawing, done) {
  const box = make(body, "div", "dials");
  const turn = (share) => -1 / 3 + (share * 2) / 3;
  for (const item of drawing.items) {
    const image = shape(box, "svg", { viewBox: "-60 -58 120 100" });
    arc(image, 42, 16, TRACK, turn(0), turn(1));
    arc(image, 42, 16, item.colour, turn(0), turn(item.share));
    for (const ring of drawing.rings) arc(image, 54, 3, ring.colour, turn(ring.from), turn(ring.to));
    const size = Math.min(20, 94 / item.text.length); // within the arc
    shape(image, "text", { y: size / 2, fill: item.colour, "font-size": size }).textContent = item.text;
  }
  done();
}

function pie(body, drawing, done) {
  const box = make(body, "div", "pie");
  const image = shape(box, "svg", { viewBox: "-50 -50 100 100" });
  arc(image, 36, 22, TRACK, 0, 1);
  let from = 0;
  for (const item of drawing.items) arc(image, 36, 22, item.colour, from, (from += item.share));
  const table = make(box, "table");
  for (const item of drawing.items) {
    const row = make(table, "tr");
    keys(make(row, "td"), [item]);
    make(row, "td", "", item.text);
  }
  done();
}

function states(body, drawing, done) {
  const box = make(body, "div", "states");
  for (const row of drawing.rows) {
    make(box, "div", "name", row.name);
    const track = make(box, "div", "row");
    for (const state of row.states) {
      const stretch = make(track, "div");
      stretch.style.left = `${state.from * 100}%`;
      stretch.style.width = `${(state.to - state.from) * 100}%`;
      stretch.style.background = state.colour;
    }
  }
  const ticks = make(box, "div", "ticks");
  drawing.x.ticks.forEach((tick, at) => {
    const share = (tick - drawing.x.low) / (drawing.x.high - drawing.x.low);
    make(ticks, "span", "", drawing.x.labels[at]).style.left = `${share * 100}%`;
  });
  keys(make(body, "div", "legend"), drawing.legend);
  done();
}

const DRAWN_BY = {
  timeseries: graph, stat: numbers, bargauge: bars, gauge: dials, piechart: pie, "state-timeline": states,
};

/* -- the page -- */

const verdict = {};

function judge(panel, state, why = "") {
  verdict[panel.number] = { title: panel.title, state, why };
  document.documentElement.dataset.verdict = JSON.stringify(verdict);
}

function draw(panel) {
  const box = make(document.getElementById("grid"), "section", "panel");
  box.style.gridColumn = `${panel.place.x + 1} / span ${panel.place.width}`;
  box.style.gridRow = `${panel.place.y + 1} / span ${panel.place.height}`;
  const heading = make(box, "h2", "", panel.title);
  if (panel.about) make(heading, "i", "", "i");
  const body = make(box, "div", "body");
  judge(panel, "error", "it was not drawn");
  if (panel.error) {
    judge(panel, "error", panel.error);
  } else if (!panel.drawing) {
    make(body, "div", "nothing", panel.idle);
    judge(panel, "no data", panel.idle);
  } else {
    try {
      DRAWN_BY[panel.kind](body, panel.drawing, () => judge(panel, panel.idle ? "no data" : "ok", panel.idle));
    } catch (error) {
      judge(panel, "error", String(error));
    }
  }
  if (verdict[panel.number].why && verdict[panel.number].state === "error" && !body.childNodes.length) {
    make(body, "div", "error", verdict[panel.number].why);
  }
}

const data = JSON.parse(document.getElementById("data").textContent);
keys(document.getElementById("marks"), data.marks);
data.panels.forEach(draw);
