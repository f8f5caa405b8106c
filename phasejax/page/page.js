"use strict";

/** Script of the page: unpacks the numbers, and handles clicks, keys and menus. */
const phasejax = (() => {
  const NAN = -32768, ZERO = -32767, INFINITE = 32767;
  const TYPES = { float64: Float64Array, float32: Float32Array, int32: Int32Array,
                  int8: Int8Array, uint8: Uint8Array };
  const SHALLOWEST = 2;  // fewest decades of the curves' axis
  const DEEPEST = 40;    // most decades of the curves' axis
  const ABOVE = 20;      // most decades of the axis above the first losses

  let about, arrays, parts, nx, ny, windows;
  let drawProbes = () => {};  // draws what probes measured of the open cells, if the sweep has any
  let replays = { curve: () => null, draw: () => {} };  // of the page's replayed cells, if any
  let cursor = 0;
  const shown = [];  // cell of every panel, oldest first; null for a panel that was closed

  const element = id => document.getElementById(id);
  const x = cell => arrays[`${about.x} values`][Math.floor(cell / ny)];
  const y = cell => arrays[`${about.y} values`][cell % ny];
  const number = value => Number.isFinite(value) && !Number.isInteger(value)
    ? String(Number(value.toPrecision(4))) : String(value);
  const regime = cell => about.codes[arrays.regime[cell]];
  const value = (axis, at) =>
    Object.hasOwn(about.names, axis) ? about.names[axis][at] : number(at);
  const where = cell =>
    `${about.x} = ${value(about.x, x(cell))}, ${about.y} = ${value(about.y, y(cell))}`;

  async function unpack() {
    const text = atob(element("packed").textContent.trim());
    const deflated = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) deflated[i] = text.charCodeAt(i);
    const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
    const buffer = await new Response(stream).arrayBuffer();
    return Object.fromEntries(about.layout.map(
      ({ name, type, start, size }) => [name, new TYPES[type](buffer, start, size)]));
  }

  /** Decode a curve from the bytes of its differences; `least` is the value of the code ZERO. */
  function decode(low, high, start, count, value, least) {
    const values = new Float64Array(count);
    let code = 0;
    for (let w = 0; w < count; w++) {
      const zigzag = low[start + w] | (high[start + w] << 8);
      code = ((code + ((zigzag >>> 1) ^ -(zigzag & 1))) << 16) >> 16;
      values[w] = code === NAN ? NaN : code === ZERO ? least
        : code === INFINITE ? Infinity : value(code);
    }
    return values;
  }

  /** Series of a cell's curve, or null if the cell was not computed. */
  function curve(cell) {
    const index = arrays.curve[cell];
    if (index < 0) return null;
    const loss = code => 10 ** (code * about.resolution);
    const [low, high, mean] = [0, 1, 2].map(series => decode(
      arrays.low, arrays.high, (series * about.curves + index) * windows, windows, loss, 0));
    const ends = [...arrays.starts.slice(1), about.extent];
    const t = Float64Array.from(arrays.starts, (begin, w) => (begin + ends[w]) / 2);
    return { t, low, high, mean };
  }

  function fillPlane() {
    const edges = [arrays[`${about.x} edges`], arrays[`${about.y} edges`]];
    const count = nx * ny;
    const column = make => Float64Array.from({ length: count }, (_, cell) => make(cell));
    const data = {
      left: column(cell => edges[0][Math.floor(cell / ny)]),
      right: column(cell => edges[0][Math.floor(cell / ny) + 1]),
      bottom: column(cell => edges[1][cell % ny]),
      top: column(cell => edges[1][cell % ny + 1]),
      x: column(x),
      y: column(y),
      x_name: Array.from({ length: count }, (_, cell) => value(about.x, x(cell))),
      y_name: Array.from({ length: count }, (_, cell) => value(about.y, y(cell))),
      regime: arrays.regime,
      alpha: Float64Array.from(arrays.inferred, inferred => inferred ? 0.65 : 1),
      label: Array.from({ length: count }, (_, cell) =>
        regime(cell) + (arrays.inferred[cell] ? " (inferred)" : "")),
    };
    for (const name of Object.keys(about.features)) data[name] = arrays[name];
    parts.cells.data_source.data = data;
  }

  /** Colour the plane by regime, or by a feature. */
  function map(name) {
    const { glyph } = parts.cells;
    const mapped = name !== "regime";
    const bars = { linear: parts.bar, log: parts.log_bar, centred: parts.centred_bar };
    const bar = bars[about.scales?.[name] ?? "linear"];
    if (mapped) {
      const [low, high] = about.ranges[name];
      bar.color_mapper.setv({ low, high });
      bar.title = about.features[name];
    }
    const transform = mapped ? bar.color_mapper : parts.regimes;
    glyph.fill_color = glyph.line_color = { field: name, transform };
    for (const one of Object.values(bars)) if (one) one.visible = mapped && one === bar;
  }

  /** Draw the open curves in the panels, on common axes. */
  function drawCurves() {
    const curves = shown.map(cell => cell === null ? null : curve(cell) ?? replays.curve(cell));
    const range = common(curves.filter(c => c !== null));
    parts.panels.forEach((panel, i) => {
      const cell = shown[i] ?? null, data = curves[i] ?? null;
      const [band] = panel.renderers;
      const empty = { t: [], low: [], high: [], mean: [] };
      band.data_source.data = data ?? empty;  // the line of the mean has the same source
      const place = document.querySelectorAll(".panels figure")[i];
      place.hidden = cell === null;
      if (cell === null) return;
      band.glyph.fill_color = about.colours[regime(cell)];
      place.firstElementChild.textContent = `${i + 1}   ${where(cell)}: ${regime(cell)}` +
        (data ? "" : arrays.inferred[cell] ? ", inferred: no curve" : ": no curve");
      panel.y_range.setv(range);
      panel.x_range.setv({ start: 0, end: about.extent });
    });
    const open = shown.map((cell, i) => [cell, i]).filter(([cell]) => cell !== null);
    parts.pins.data_source.data = {
      x: open.map(([cell]) => x(cell)),
      y: open.map(([cell]) => y(cell)),
      text: open.map(([, i]) => String(i + 1)),
    };
    drawTable(open);
    drawProbes(shown);
    replays.draw(shown);
  }

  /** Range of losses for all panels: that of the open curves, within the limits above. */
  function common(curves) {
    const positive = values => values.filter(v => v > 0 && Number.isFinite(v));
    const starts = curves.flatMap(c => [...positive(c.high.slice(0, 1))]);
    const tops = curves.flatMap(c => [...positive(c.high)]);
    const means = curves.flatMap(c => [...positive(c.mean)]);
    if (!tops.length || !means.length) return { start: 1e-3, end: 1 };
    const most = (list, start) => list.reduce((a, b) => Math.max(a, b), start);
    const least = list => list.reduce((a, b) => Math.min(a, b), Infinity);
    const highest = Math.log10(most(tops, 0));
    const first = starts.length ? Math.log10(most(starts, 0)) : highest;
    const end = Math.ceil(Math.min(highest, first + ABOVE));
    const start = Math.floor(Math.max(Math.log10(least(means)) - 0.5, end - DEEPEST));
    return { start: 10 ** Math.min(start, end - SHALLOWEST), end: 10 ** end };
  }

  function drawTable(open) {
    const row = (tag, first, values) => {
      const made = document.createElement("tr");
      [first, ...values].forEach((text, i) => {
        const field = document.createElement(i === 0 ? "th" : tag);
        field.scope = i === 0 ? "row" : "col";
        field.textContent = text;
        made.append(field);
      });
      return made;
    };
    const table = document.querySelector("table");
    table.hidden = open.length === 0;
    const cells = open.map(([cell]) => cell);
    table.tHead.replaceChildren(
      row("th", "", open.map(([cell, i]) => `${i + 1}: ${where(cell)}`)),
      row("th", "regime", cells.map(regime)));
    table.tBodies[0].replaceChildren(...Object.entries(about.features).map(([name, text]) =>
      row("td", `${name.replaceAll("_", " ")}: ${text}`, cells.map(c => number(arrays[name][c])))));
  }

  /** Open a cell's curve, or close it. */
  function toggle(cell) {
    const open = shown.indexOf(cell);
    if (open >= 0) {
      shown[open] = null;
    } else if (shown.includes(null)) {
      shown[shown.indexOf(null)] = cell;
    } else {
      if (shown.length === parts.panels.length) shown.shift();
      shown.push(cell);
    }
    drawCurves();
    tell(cell, open >= 0 ? "closed" : "open");
  }

  function tell(cell, what) {
    const margin = number(arrays.margin[cell]);
    element("told").textContent =
      `${where(cell)}: ${regime(cell)}, margin ${margin} decades${what ? ` (curve ${what})` : ""}`;
  }

  function click(indices) {
    if (!indices.length) return;
    [cursor] = indices;
    parts.cells.data_source.selected.indices = [];  // so that a second click is a change
    toggle(cursor);
  }

  function moveCursor(dx, dy) {
    const i = Math.min(Math.max(Math.floor(cursor / ny) + dx, 0), nx - 1);
    const j = Math.min(Math.max(cursor % ny + dy, 0), ny - 1);
    cursor = i * ny + j;
    drawCursor(true);
    tell(cursor, "");
  }

  function drawCursor(visible) {
    const { data } = parts.cells.data_source;
    const side = name => visible ? [data[name][cursor]] : [];
    parts.cursor.data_source.data = {
      left: side("left"), right: side("right"), bottom: side("bottom"), top: side("top"),
    };
  }

  function listen() {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const plane = element("plane");
    plane.addEventListener("keydown", event => {
      if (event.target !== plane) return;
      if (event.key in steps) moveCursor(...steps[event.key]);
      else if (event.key === "Enter" || event.key === " ") toggle(cursor);
      else return;
      event.preventDefault();
    });
    plane.addEventListener("focus", () => drawCursor(plane.matches(":focus-visible")));
    plane.addEventListener("blur", () => drawCursor(false));
    element("map").addEventListener("change", event => map(event.target.value));
    element("clear").addEventListener("click", () => { shown.length = 0; drawCurves(); });
    for (const box of document.querySelectorAll(".line")) {
      box.addEventListener("change", () => {
        for (const line of parts.lines)
          if (line.tags[0] === about.lines[box.value]) line.visible = box.checked;
      });
    }
  }

  async function start(given) {
    about = JSON.parse(element("about").textContent);
    parts = { ...given, regimes: given.cells.glyph.fill_color.transform };
    arrays = await unpack();
    nx = arrays[`${about.x} values`].length;
    ny = arrays[`${about.y} values`].length;
    windows = arrays.starts.length;
    fillPlane();
    if (about.probes) drawProbes = probePanels(about, arrays, parts, decode);
    if (about.replays) replays = replayedCells(about, arrays, parts);
    map(element("map").value);  // a browser may restore an earlier choice
    shown.push(...about.shown);
    drawCurves();
    cursor = about.shown[0] ?? 0;
    listen();
    document.body.dataset.ready = "true";
  }

  return { start, click };
})();
