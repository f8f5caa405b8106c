"use strict";

/** Draw what a probe measured below the open loss curves; returns a function of the open cells. */
function probePanels(about, arrays, parts, decode) {
  const { variables, resolution } = about.probes;
  const windows = arrays["probe starts"].length;
  const ends = [...arrays["probe starts"].slice(1), about.extent];
  const t = Float64Array.from(arrays["probe starts"], (begin, w) => (begin + ends[w]) / 2);
  const RATIO = [-1, 1.2, 3];  // lowest start, lowest end and highest end of an axis of ratios
  const LONGEST = 16;  // most letters of a line of an axis's name
  const select = document.getElementById("probe");
  let cells = [];

  /** Values of a variable in the windows of a cell, or none if the cell was not computed. */
  function series(variable, cell) {
    const index = cell === null ? -1 : arrays.curve[cell];
    if (index < 0) return [];
    const start = (variable * about.curves + index) * windows;
    const { unit, log } = variables[variable];
    const value = code => unit * Math.sinh(code * resolution * Math.LN10);
    const values = decode(
      arrays["probe low"], arrays["probe high"], start, windows, value, -Infinity);
    return log ? values.map(v => v > 0 ? Math.log10(v) : NaN) : values;
  }

  /** Range of an axis that shows all open curves, and the line at the threshold. */
  function range(curves, line) {
    const known = curves.flatMap(values => [...values].filter(Number.isFinite));
    if (line !== null) known.push(line);
    const low = known.reduce((a, b) => Math.min(a, b), Infinity);
    const high = known.reduce((a, b) => Math.max(a, b), -Infinity);
    if (line === 1) {
      const [lowest, least, most] = RATIO;
      const start = Math.min(-0.06, Math.max(1.05 * low, lowest));
      return { start, end: Math.min(Math.max(1.05 * high, least), most) };
    }
    if (!known.length) return { start: 0, end: 1 };
    const beyond = high > low ? 0.06 * (high - low) : 0.5;
    return { start: low - beyond, end: high + beyond };
  }

  /** Break a name at the space nearest to its middle, so that it fits the axis. */
  function inLines(name) {
    if (name.length <= LONGEST) return name;
    const away = i => Math.abs(i - name.length / 2);
    const spaces = [...name.matchAll(/ /g)].map(found => found.index);
    const at = spaces.reduce((a, b) => away(b) < away(a) ? b : a, 0);
    return at ? `${name.slice(0, at)}\n${name.slice(at + 1)}` : name;
  }

  function draw(open) {
    cells = [...open];
    const variable = Number(select.value), { name, log, line } = variables[variable];
    const curves = parts.below.map((_, i) => series(variable, cells[i] ?? null));
    const shown = range(curves, line);
    parts.below.forEach((panel, i) => {
      const value = curves[i];
      panel.renderers[0].data_source.data = { t: value.length ? t : [], value };
      panel.y_range.setv(shown);
      panel.left[0].axis_label = inLines((log ? "log₁₀ " : "") + name);
      const threshold = panel.center.find(part => part.type === "Span");
      threshold.setv({ location: line ?? 0, visible: line !== null });
    });
  }

  select.addEventListener("change", () => draw(cells));
  return draw;
}
