"use strict";

/**
 * Draw the loss of every step of replayed cells.
 *
 * Returns two functions: `curve` of a cell that has no curve in the sweep, and `draw` of the open cells.
 */
function replayedCells(about, arrays, parts) {
  const { cells, same } = about.replays;
  const step = Float64Array.from({ length: about.extent }, (_, i) => i);
  const ends = [...arrays.starts.slice(1), about.extent];
  const sides = [...arrays.starts].flatMap((begin, w) => [begin - 0.5, ends[w] - 0.5]);
  const twice = values => Float64Array.from(sides, (_, i) => values[i >> 1]);

  /** Loss before every step of a cell, NaN where a logarithmic axis has no place for it. */
  function loss(cell) {
    const start = cells.indexOf(cell) * about.extent;
    return arrays.replayed.slice(start, start + about.extent).map(v => v > 0 ? v : NaN);
  }

  /** Series of a replayed cell that has no curve in the sweep, or null. */
  function curve(cell) {
    if (!cells.includes(cell)) return null;
    const values = loss(cell);
    return { t: step, low: values, high: values, mean: values };
  }

  function draw(open) {
    parts.panels.forEach((panel, i) => {
      const cell = open[i] ?? null, replayed = cells.includes(cell);
      const steps = panel.renderers.at(-1).data_source;  // of the line and the dots
      steps.data = replayed ? { step, loss: loss(cell) } : { step: [], loss: [] };
      for (const range of [panel.x_range, panel.y_range])
        range.setv({ reset_start: range.start, reset_end: range.end });
      if (!replayed) return;
      if (arrays.curve[cell] >= 0) fillWindows(panel.renderers[0].data_source);
      const caption = document.querySelectorAll(".panels figcaption")[i];
      if (!same[cells.indexOf(cell)]) caption.textContent += ", steps rounded unlike the sweep's";
    });
  }

  /** Let the band and the mean fill windows from side to side, so that their steps are inside. */
  function fillWindows(source) {
    const { low, high, mean } = source.data;
    source.data = { t: sides, low: twice(low), high: twice(high), mean: twice(mean) };
  }

  return { curve, draw };
}
