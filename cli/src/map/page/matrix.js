// ---------------------------------------------------------------- matrix
// VPC by VPC. All cells of a kind are one path, so that 250,000 cells scroll; one cell is an element, and has the focus.
const CELLS = {
  ...(isPlan && { create: "created by the plan", update: "changed by the plan", delete: "deleted by the plan" }),
  connected: "connected",
  waiting: "waiting",
  overlap: "CIDRs overlap",
  blocked: "not connected",
  unconnected: "common mesh, no pair",
  apart: "no mesh in common",
  filtered: "hidden by the filters",
};
// Sides of cells in pixels: the least with names beside it, the smallest, the largest to fit, the largest.
const [NAMES, SMALLEST, FITTING, LARGEST] = [11, 1, 32, 40];
const PAPER = { width: 630, height: 630 };
const STEPS = { Home: [-Infinity, 0], End: [Infinity, 0], PageUp: [0, -10], PageDown: [0, 10] };
const scroll = byId("scroll");
const cells = byId("cells").querySelector("svg");
const peersOf = new Map(map.vpcs.map(({ vpc }) => [vpc, new Map()]));
let order = [];
let side = FITTING; // of a cell, in pixels
let cursor = [0, 0]; // row and column

// A pair that leaves can have a second edge, which a mesh wants.
map.pairs.forEach(({ between: [one, other], state }, n) => {
  for (const [from, to] of [[one, other], [other, one]]) {
    if (state !== "leaving" || !peersOf.get(from)?.has(to)) peersOf.get(from)?.set(to, n);
  }
});

const cellOfPair = (n) => map.pairs[n].planned?.kind ?? (map.pairs[n].state === "overlapping" ? "overlap" : { active: "connected", waiting: "waiting", broken: "blocked" }[healths[n]]);
const cellOfApart = (one, other) => (one.meshes.some((mesh) => other.meshes.includes(mesh)) ? "unconnected" : "apart");

function cellAt(one, other, pairs) {
  if (one === other) return "same";
  const n = peersOf.get(one.vpc).get(other.vpc);
  if (n === undefined) return cellOfApart(one, other);
  return pairs.has(n) ? cellOfPair(n) : "filtered";
}

function drawKey() {
  byId("key").append(...Object.entries(CELLS).map(([kind, text]) => {
    const square = draw("svg", { class: "map", viewBox: "0 0 1 1", "aria-hidden": "true" }, draw("path", { class: kind, d: "M0 0H1V1H0z" }));
    return make("li", { "data-kind": kind }, square, make("span", {}, text), make("b"));
  }));
}

function drawMatrix() {
  const [wanted, pairs] = [visible(), new Set(shown.pairs)];
  const rank = ({ vpc, meshes, account, region }) => [meshes.join("+"), account, region, nameOf(vpc), vpc].join(" ");
  const ranks = new Map(map.vpcs.map((vpc) => [vpc, rank(vpc)]));
  order = map.vpcs.filter(({ vpc }) => wanted.has(vpc)).sort((a, b) => (ranks.get(a) < ranks.get(b) ? -1 : 1));
  const paths = new Map([...Object.keys(CELLS), "same"].map((kind) => [kind, ""]));
  const totals = new Map();
  order.forEach((one, row) => {
    let [kind, from] = [null, 0];
    for (let column = 0; column <= order.length; column++) {
      const at = column < order.length ? cellAt(one, order[column], pairs) : null;
      if (column < row) totals.set(at, (totals.get(at) ?? 0) + 1);
      if (at === kind) continue;
      if (kind) paths.set(kind, `${paths.get(kind)}M${from} ${row}H${column}v1H${from}z`);
      [kind, from] = [at, column];
    }
  });
  cells.querySelector(".kinds").replaceChildren(...[...paths].map(([kind, d]) => draw("path", { class: kind, d })));
  for (const it of byId("key").children) {
    it.querySelector("b").textContent = digits(totals.get(it.dataset.kind) ?? 0);
    it.hidden = it.dataset.kind === "filtered" && !totals.has("filtered");
  }
  cursor = cursor.map((at) => Math.max(0, Math.min(at, order.length - 1)));
  layOut();
}

// ---------------------------------------------------------------- size and heads of the matrix
const clamp = (number, least, most) => Math.min(Math.max(number, least), most);
const short = (text, room) => (text.length * 7 <= room ? text : `${text.slice(0, Math.max(room / 7 - 1, 1))}…`);
const gutterOf = (width, side) => (side < NAMES ? 64 : clamp(width * 0.35, 64, 170));

function labelOf(vpc, room) {
  const state = isApart(vpcStates.get(vpc)) ? ` (${vpcStates.get(vpc)})` : "";
  return short(nameOf(vpc), room - 7 * state.length) + state;
}

function layOut() {
  const [gutter, length] = [gutterOf(scroll.clientWidth, side), order.length * side];
  scroll.style.setProperty("--gutter", `${gutter}px`);
  scroll.hidden = !order.length;
  fill(cells, { viewBox: `0 0 ${order.length} ${order.length}`, width: length, height: length }, []);
  cells.classList.toggle("tiny", side < 5);
  const keys = order.map(({ meshes }) => meshes.join("+"));
  const starts = keys.flatMap((key, n) => (key === keys[n - 1] ? [] : [n]));
  const groups = starts.map((from, n) => ({ from, to: starts[n + 1] ?? order.length, meshes: order[from].meshes }));
  const bars = (turn) => groups.map(({ from, to, meshes }) => draw("path", { class: `bar ${colorOf(meshes[0])}`, d: turn(from * side + 1, to * side - 1) }));
  const labels = side >= NAMES
    ? order.map(({ vpc }, n) => ({ at: (n + 0.5) * side, vpc, text: labelOf(vpc, gutter - 18) }))
    : groups.filter(({ from, to }) => (to - from) * side > 12).map(({ from, to, meshes }) => ({
      at: ((from + to) / 2) * side, text: short(meshes.join("+"), Math.min(gutter - 16, (to - from) * side)) }));
  const text = ({ text, vpc }, attributes) => draw("text", { ...attributes, ...(vpc && { "data-vpc": vpc }) }, text);
  fill(byId("rows"), { width: gutter, height: length }, []).replaceChildren(
    ...bars((from, to) => `M${gutter - 4} ${from}V${to}`),
    ...labels.map((label) => text(label, { x: gutter - 10, y: label.at + 4, "text-anchor": "end" })));
  const turned = (at) => (side < NAMES ? { x: at, y: gutter - 12, "text-anchor": "middle" }
    : { transform: `translate(${at + 4},${gutter - 10}) rotate(-90)` });
  fill(byId("columns"), { width: length, height: gutter }, []).replaceChildren(
    ...bars((from, to) => `M${from} ${gutter - 4}H${to}`), ...labels.map((label) => text(label, turned(label.at))));
  drawCursor();
  markCells();
}

function fitMatrix({ width, height } = { width: scroll.clientWidth, height: scroll.clientHeight }) {
  if (!order.length || !width) return;
  const sideIn = (room, gutter) => (room - gutter - 2) / order.length;
  const named = [Math.min(width, height), width].map((room) => sideIn(room, gutterOf(width, NAMES))).find((it) => it >= NAMES);
  side = clamp(named ?? Math.min(sideIn(Math.min(width, height), gutterOf(width, 0)), NAMES - 0.5), SMALLEST, FITTING);
  layOut();
}

function zoomMatrix(factor) {
  const [x, y] = [(scroll.scrollLeft + scroll.clientWidth / 2) / scroll.scrollWidth, (scroll.scrollTop + scroll.clientHeight / 2) / scroll.scrollHeight];
  side = clamp(side * factor, SMALLEST, LARGEST);
  layOut();
  scroll.scrollTo(x * scroll.scrollWidth - scroll.clientWidth / 2, y * scroll.scrollHeight - scroll.clientHeight / 2);
}

// ---------------------------------------------------------------- cells of the matrix
function wordsOf([row, column]) {
  const [one, other] = [order[row], order[column]];
  if (one === other) return `${fullName(one.vpc)}: ${vpcStates.get(one.vpc)}`;
  const n = peersOf.get(one.vpc).get(other.vpc);
  const kind = cellAt(one, other, new Set(shown.pairs));
  const detail = n === undefined ? [] : [stateOf(n), map.pairs[n].meshes.join(", ")];
  return `${nameOf(one.vpc)} – ${nameOf(other.vpc)}: ${[CELLS[kind], ...detail.filter((it) => it !== "active")].join(", ")}`;
}

function drawCursor() {
  const row = byId("cells").querySelector("[role=row]");
  const focused = row.contains(document.activeElement);
  if (!order.length) return row.replaceChildren();
  const cell = make("div", { role: "gridcell", tabindex: 0, "aria-colindex": cursor[1] + 1, "aria-label": wordsOf(cursor) });
  const wide = Math.max(side, 9);
  Object.assign(cell.style, { width: `${wide}px`, height: `${wide}px`,
    left: `${(cursor[1] + 0.5) * side - wide / 2}px`, top: `${(cursor[0] + 0.5) * side - wide / 2}px` });
  fill(row, { "aria-rowindex": cursor[0] + 1 }, []).replaceChildren(cell);
  fill(row.parentElement, { "aria-rowcount": order.length, "aria-colcount": order.length }, []);
  if (!focused) return;
  cell.focus({ preventScroll: true });
  cell.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function step([dx, dy]) {
  const most = order.length - 1;
  cursor = [clamp(cursor[0] + dy, 0, most), clamp(cursor[1] + dx, 0, most)];
  drawCursor();
  markCells();
}

function chooseCell([row, column]) {
  const [one, other] = [order[row].vpc, order[column].vpc];
  const pair = peersOf.get(one).get(other);
  if (one === other) choose({ vpc: one });
  else choose(pair === undefined ? { vpc: one, peer: other } : { pair });
}

// The row and the column of the selection or of the cell under the pointer or the focus, and the selected cells.
function markCells(under = document.activeElement?.closest("#cells") ? cursor : null) {
  if (view !== "matrix") return;
  const { own, near } = concerned(chosen);
  const places = new Map(order.map(({ vpc }, n) => [vpc, n]));
  const bands = under ? [under] : chosen.vpc && !chosen.peer ? [[places.get(chosen.vpc), places.get(chosen.vpc)]] : [];
  const couples = chosen.vpc ? (chosen.peer ? [own] : []) : near.map((n) => map.pairs[n].between);
  const pairs = couples.map((ends) => ends.map((id) => places.get(id))).filter((ends) => !ends.includes(undefined));
  const box = (kind, x, y, width, height) => draw("rect", { class: kind, x, y, width, height });
  cells.querySelector(".marks").replaceChildren(
    ...bands.filter(([row]) => row !== undefined).flatMap(([row, column]) => [box("band", 0, row, order.length, 1), box("band", column, 0, 1, order.length)]),
    ...pairs.flatMap(([one, other]) => [box("self", one, other, 1, 1), box("self", other, one, 1, 1)]));
  byId("under").textContent = under ? wordsOf(under) : "";
}

function listenToMatrix() {
  const at = ({ clientX, clientY }) => {
    const { x, y } = cells.getBoundingClientRect();
    const cell = [clientY - y, clientX - x].map((far) => Math.floor(far / side));
    return cell.every((it) => it >= 0 && it < order.length) ? cell : null;
  };
  listen(byId("cells"), {
    pointermove: (event) => markCells(at(event)),
    pointerleave: () => markCells(),
    focusin: () => markCells(),
    focusout: () => markCells(null),
    click: (event) => {
      cursor = at(event) ?? cursor;
      drawCursor();
      chooseCell(cursor);
    },
  });
  for (const id of ["rows", "columns"]) listen(byId(id), { click: ({ target }) => chooseAt(target) });
  listen(window, { resize: () => view === "matrix" && layOut() });
}
