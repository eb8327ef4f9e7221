"use strict";
// Sorting of tables, and the values of charts under the pointer or by the arrow keys.
// Texts are only ever set as text: nothing of a run becomes markup here.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const shown = (value) => Number(value.toPrecision(5)).toString();

  // Tables

  const keyOf = (row, column) => {
    const cell = row.cells[column];
    const given = cell.dataset.sort;
    const text = cell.textContent.trim();
    return { empty: given === undefined && text === "", number: given === undefined ? NaN : Number(given), text };
  };
  const compare = (a, b, sign) => {
    if (a.empty || b.empty) return Number(a.empty) - Number(b.empty); // last, in both directions
    if (!Number.isNaN(a.number) && !Number.isNaN(b.number)) return sign * (a.number - b.number);
    return sign * a.text.localeCompare(b.text, "en", { numeric: true });
  };
  const sort = (table, column) => {
    const heads = [...table.tHead.rows[0].cells];
    const ascending = heads[column].getAttribute("aria-sort") !== "ascending";
    heads.forEach((head) => head.hasAttribute("aria-sort") && head.setAttribute("aria-sort", "none"));
    heads[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => ({ row, key: keyOf(row, column) }));
    rows.sort((a, b) => compare(a.key, b.key, ascending ? 1 : -1));
    body.append(...rows.map(({ row }) => row));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const cells = [...table.tBodies[0].rows].map((row) => row.cells[column]);
      const hasValues = cells.some((cell) => cell && (cell.dataset.sort !== undefined || cell.textContent.trim()));
      if (!head.textContent.trim() || !hasValues) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, column));
      head.setAttribute("aria-sort", "none");
      head.append(button);
    });
  }

  // A box that has nothing to scroll need not be a stop of the Tab key.
  const boxes = document.querySelectorAll(".scroll");
  const markBoxes = () => boxes.forEach((box) => {
    box.tabIndex = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight ? 0 : -1;
  });
  markBoxes();
  window.addEventListener("resize", markBoxes);
  document.addEventListener("toggle", markBoxes, true);

  // Runs of a sweep: what is chosen in one place is shown in all.

  const ofRun = new Map();
  for (const mark of document.querySelectorAll("[data-run]")) {
    const run = mark.dataset.run;
    if (!ofRun.has(run)) ofRun.set(run, []);
    ofRun.get(run).push(mark);
  }
  let chosen = null;
  const choose = (run) => {
    if (run === chosen) return;
    (ofRun.get(chosen) || []).forEach((mark) => mark.classList.remove("chosen"));
    chosen = run;
    (ofRun.get(run) || []).forEach((mark) => {
      mark.classList.add("chosen");
      if (mark instanceof SVGElement) mark.parentNode.append(mark); // above the others
    });
    document.querySelectorAll("g.lines").forEach((lines) => lines.classList.toggle("has-chosen", run !== null && lines.querySelector("[data-run]") !== null));
  };
  for (const row of document.querySelectorAll("tr[data-run]")) {
    row.addEventListener("pointerenter", () => choose(row.dataset.run));
    row.addEventListener("pointerleave", () => choose(null));
  }

  // Charts

  const setUp = (figure, chart) => {
    const plot = figure.querySelector(".plot");
    const svg = plot.querySelector("svg");
    const tip = plot.querySelector(".tip");
    const reading = figure.querySelector(".reading");
    const pointer = svg.querySelector(".pointer");
    const view = svg.viewBox.baseVal;
    const [xLow, xHigh, yLow, yHigh] = chart.scale;
    const [left, right, bottom, top] = chart.box;
    const place = ([x, y]) => [
      left + ((x - xLow) / (xHigh - xLow)) * (right - left),
      Math.max(top, bottom + ((y - yLow) / (yHigh - yLow)) * (top - bottom)),
    ];
    const xs = [...new Set(chart.lines.flatMap((line) => line.points.map(([x]) => x)))].sort((a, b) => a - b);
    const state = { line: 0, at: -1 };

    const mark = (places, vertical) => {
      pointer.replaceChildren();
      if (vertical !== null) {
        const rule = document.createElementNS(SVG, "line");
        Object.entries({ x1: vertical, x2: vertical, y1: top, y2: bottom }).forEach(([k, v]) => rule.setAttribute(k, v));
        pointer.append(rule);
      }
      for (const [x, y] of places) {
        const dot = document.createElementNS(SVG, "circle");
        Object.entries({ cx: x, cy: y, r: 4 }).forEach(([k, v]) => dot.setAttribute(k, v));
        pointer.append(dot);
      }
    };
    const tell = (lines, x, y, aloud) => {
      tip.textContent = lines.join("\n");
      tip.hidden = false;
      const scale = svg.clientWidth / view.width;
      const beside = x * scale + 14 + tip.offsetWidth > plot.clientWidth ? x * scale - tip.offsetWidth - 14 : x * scale + 14;
      tip.style.left = `${Math.max(0, beside)}px`;
      tip.style.top = `${Math.max(0, Math.min(y * scale - tip.offsetHeight / 2, svg.clientHeight - tip.offsetHeight))}px`;
      if (aloud) reading.textContent = lines.join(", ");
    };
    const clear = () => {
      tip.hidden = true;
      reading.textContent = "";
      pointer.replaceChildren();
      choose(null);
    };
    const showShared = (at, aloud) => {
      state.at = at;
      const x = xs[at];
      const here = chart.lines.map((line) => [line.name, line.points.find((point) => point[0] === x)]).filter(([, point]) => point);
      const places = here.map(([, point]) => place(point));
      mark(places, place([x, yLow])[0]);
      tell([`${chart.x} ${shown(x)}`, ...here.map(([name, point]) => `${name} ${shown(point[1])}`)], places[0][0], places[0][1], aloud);
    };
    const showPoint = (line, at, aloud) => {
      Object.assign(state, { line, at });
      const { name, points, run, tell: told } = chart.lines[line];
      const [x, y] = points[at];
      const [px, py] = place(points[at]);
      mark([[px, py]], null);
      choose(run || null);
      const values = chart.y ? `${chart.x} ${shown(x)}, ${chart.y} ${shown(y)}` : `${chart.x} ${shown(x)}: ${shown(y)}`;
      tell([name, ...(told || [values])], px, py, aloud);
    };
    const toSegment = (x, y, [ax, ay], [bx, by]) => {
      const length = (bx - ax) ** 2 + (by - ay) ** 2 || 1;
      const part = Math.max(0, Math.min(1, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length));
      return (ax + part * (bx - ax) - x) ** 2 + (ay + part * (by - ay) - y) ** 2;
    };
    const nearest = (x, y) => {
      let best = [Infinity, 0, 0];
      chart.lines.forEach((line, number) => {
        const places = line.points.map(place);
        places.forEach(([px, py], at) => {
          let distance = (px - x) ** 2 + (py - y) ** 2;
          if (chart.segments && at + 1 < places.length) distance = Math.min(distance, toSegment(x, y, places[at], places[at + 1]));
          if (distance < best[0]) best = [distance, number, at];
        });
      });
      return best;
    };
    const onPointer = (event) => {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * view.width;
      const y = ((event.clientY - box.top) / box.height) * view.height;
      if (chart.shared) {
        const distances = xs.map((value) => Math.abs(place([value, yLow])[0] - x));
        showShared(distances.indexOf(Math.min(...distances)), false);
      } else {
        const [, line, at] = nearest(x, y);
        showPoint(line, at, false);
      }
    };
    const move = { ArrowRight: 1, ArrowLeft: -1 };
    const change = { ArrowDown: 1, ArrowUp: -1 };
    const onKey = (event) => {
      const bounded = (value, count) => Math.max(0, Math.min(value, count - 1));
      if (event.key === "Escape") clear();
      else if (event.key in move && chart.shared) showShared(bounded(state.at + move[event.key], xs.length), true);
      else if (event.key in move) showPoint(state.line, bounded(state.at + move[event.key], chart.lines[state.line].points.length), true);
      else if (event.key in change && !chart.shared) {
        const line = bounded(state.line + change[event.key], chart.lines.length);
        showPoint(line, bounded(state.at, chart.lines[line].points.length), true);
      } else return;
      event.preventDefault();
    };
    plot.addEventListener("pointermove", onPointer);
    plot.addEventListener("pointerdown", onPointer);
    plot.addEventListener("pointerleave", clear);
    plot.addEventListener("blur", clear);
    plot.addEventListener("keydown", onKey);
    plot.tabIndex = 0;
    plot.setAttribute("role", "group");
    const keys = chart.shared ? "left and right arrow keys" : "arrow keys";
    const title = svg.querySelector("title");
    plot.setAttribute("aria-label", `${title.textContent}: ${keys} read its values`);
    // As an element, it would be a second tip under the pointer.
    svg.setAttribute("aria-label", title.textContent);
    svg.removeAttribute("aria-labelledby");
    title.remove();
  };
  for (const [identifier, chart] of Object.entries(charts)) {
    const figure = document.getElementById(identifier);
    if (figure && chart.lines.length) setUp(figure, chart);
  }
})();
