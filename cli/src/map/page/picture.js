// ---------------------------------------------------------------- picture
const CROWD = 1000;
// With more changed pairs, their signs would cover the map: their lines have the colors, and the matrix the signs.
const SIGNS_AT_MOST = 60;
const chips = new Map([...svg.querySelectorAll("[data-vpc]")].map((chip) => [chip.dataset.vpc, chip]));
const lines = new Map();
// The lines of the selection, drawn again, so that all others fade together.
const lit = draw("g", { class: "lit", "aria-hidden": "true" });
const notes = draw("g", { class: "notes", "aria-hidden": "true" });

// Above the lines: titles and the pairs that are not active. A screen reader finds the pairs in the details and tables.
function arrange() {
  const pairs = svg.querySelector(".pairs");
  pairs.append(...curves.map((d, n) => d && drawLine(d, n)).filter(Boolean));
  for (const line of pairs.children) lines.set(Number(line.dataset.pair), line);
  const trouble = draw("g", { class: "trouble", "aria-hidden": "true" }, ...pairs.querySelectorAll(".waiting, .broken"));
  pairs.setAttribute("aria-hidden", "true");
  pairs.after(trouble, lit, notes);
  const changed = [...lines].filter(([n]) => map.pairs[n].planned);
  if (changed.length <= SIGNS_AT_MOST) notes.append(...changed.map(([n, line]) => changeOn(line, n)));
  notes.append(...[...lines].filter(([n]) => findingsOfPair(n).length).map(([n, line]) => noteOn(line, n)));
  svg.append(draw("g", { class: "titles" }, ...[...svg.querySelectorAll(".areas > g")].map(drawTitle)));
  for (const [id, chip] of chips) labelChip(chip, vpcs.get(id));
}

function drawLine(d, n) {
  const { meshes, between, planned, state } = map.pairs[n];
  const title = draw("title", {}, `${meshes.join("+")}: ${between.join(" – ")}, ${planned ? `${planned.kind}, ` : ""}${state}`);
  return draw("path", { class: `pair ${colorOf(meshes[0])} ${healths[n]}${meshes.length > 1 ? " many" : ""} ${planned?.kind ?? ""}`, "data-pair": n, d }, title);
}

function badge(at, attributes, sign = "!") {
  const place = { class: "badge", transform: `translate(${at.x},${at.y})`, ...attributes };
  return draw("g", place, draw("circle", { r: 9 }), draw("text", { y: 4 }, sign));
}
const noteOn = (line, n) => badge(line.getPointAtLength(line.getTotalLength() / 2), { "data-pair": n });
// Beside the mark of a finding.
function changeOn(line, n) {
  const kind = changeOf(n);
  return badge(line.getPointAtLength(line.getTotalLength() * 0.4), { class: `change ${kind}`, "data-pair": n }, CHANGES[kind]);
}

// svg.rs draws the Regions of the first account first, in order.
function drawTitle(area) {
  const scopes = sorted(map.vpcs.map(scopeOf));
  const number = [...svg.querySelectorAll(".areas > .region")].indexOf(area);
  const text = area.querySelector("text");
  const open = findingsAbout(scopes[number] ?? text.textContent);
  text.append(...open.map((n) => draw("tspan", { class: "kind", dx: 8, "data-finding": n }, "!", draw("tspan", { class: "word" }, ` ${map.findings[n].kind}`))));
  return draw("g", { class: area.getAttribute("class") }, text);
}

function labelChip(chip, { vpc, account, region, cidrs, meshes }) {
  const open = findingsOfVpc(vpc);
  const state = vpcStates.get(vpc);
  const facts = [`VPC ${fullName(vpc)}`, `account ${account}`, region, ...cidrs, ...meshes, state];
  const says = [...facts, ...(open.length ? [count(open.length, "finding")] : [])].join(", ");
  fill(chip, { role: "button", tabindex: "-1", "aria-label": says }, [draw("title", {}, says)]);
  const name = chip.querySelector(".name");
  name.style.setProperty("--size", `${Math.min(25, 240 / name.textContent.length)}px`);
  const [width, height] = ["width", "height"].map((side) => chip.firstElementChild[side].baseVal.value);
  if (state === "refused") chip.append(draw("path", { class: "strike", d: `M0 ${height}L${width} 0` }));
  const direct = open.some((n) => !concerns[n].whole);
  if (direct && !chip.querySelector(".badge")) chip.append(badge({ x: width, y: 0 }, {}));
}

function filterPicture() {
  const [drawn, pairs] = [visible(), new Set(shown.pairs)];
  for (const [id, chip] of chips) {
    chip.classList.toggle("off", !drawn.has(id));
    chip.classList.toggle("dim", !shown.vpcs.has(id));
  }
  for (const it of [...lines.values(), ...lit.children, ...notes.children]) it.classList.toggle("off", !pairs.has(Number(it.dataset.pair)));
  svg.classList.toggle("crowded", pairs.size > CROWD);
  svg.style.setProperty("--line", Math.min(0.75, Math.max(0.05, 8 / Math.sqrt(pairs.size))));
  redraw();
  if (!shown.vpcs.has(current)) enter([...chips.keys()].find((id) => shown.vpcs.has(id)));
}

// Lines are thin: a click near a line selects it.
function closeTo({ clientX, clientY, target }) {
  if (target.closest("[data-vpc], [data-pair], [data-finding]")) return target;
  const around = [1, 2, 3, 4, 5].flatMap((far) => [[0, far], [0, -far], [far, 0], [-far, 0]]);
  const there = around.map(([dx, dy]) => document.elementFromPoint(clientX + dx, clientY + dy));
  return there.find((it) => it?.matches("#stage [data-pair]"));
}

// ---------------------------------------------------------------- zoom
const AROUND = { side: 60, above: 118, below: 60 };
let place = { x: 0, y: 0, scale: 1 };
let due = null;

// At most once a frame.
const redraw = () => (due ??= requestAnimationFrame(paint));

function paint() {
  due = null;
  const { clientWidth: width, clientHeight: height } = stage;
  if (!width || !height) return;
  svg.setAttribute("viewBox", `${place.x} ${place.y} ${width / place.scale} ${height / place.scale}`);
  svg.classList.toggle("far", place.scale < 0.7);
  svg.classList.toggle("farther", place.scale < 0.3);
  byId("many").hidden = view !== "map" || place.scale < 0.3 || shown.pairs.length <= CROWD;
}

function zoomPicture(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const scale = Math.min(Math.max(place.scale * factor, 0.02), 4);
  place = { x: place.x + x / place.scale - x / scale, y: place.y + y / place.scale - y / scale, scale };
  redraw();
}

// The bounds of the visible chips, with their areas.
function fitPicture() {
  const { x, y, width, height } = svg.querySelector(".vpcs").getBBox();
  const [room, high] = [stage.clientWidth, stage.clientHeight];
  if (!width || !room) return;
  const scale = Math.min(room / (width + 2 * AROUND.side), high / (height + AROUND.above + AROUND.below), 1.25);
  const middle = { x: x + width / 2, y: y + (height - AROUND.above + AROUND.below) / 2 };
  place = { x: middle.x - room / scale / 2, y: middle.y - high / scale / 2, scale };
  redraw();
}

let drag = null;

function move(event) {
  if (!drag) return;
  const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
  drag.far ||= Math.hypot(dx, dy) > 4;
  if (!drag.far) return;
  stage.classList.add("dragging");
  place = { ...place, x: drag.place.x - dx / place.scale, y: drag.place.y - dy / place.scale };
  redraw();
}

// ---------------------------------------------------------------- from VPC to VPC
let current;

function middle(chip) {
  const { e, f } = chip.transform.baseVal.getItem(0).matrix;
  return [e + chip.firstElementChild.width.baseVal.value / 2, f + chip.firstElementChild.height.baseVal.value / 2];
}

// One VPC is in the tab order; the arrow keys move from it.
function enter(id) {
  chips.get(current)?.setAttribute("tabindex", "-1");
  current = id;
  chips.get(current)?.setAttribute("tabindex", "0");
}

function reveal(id) {
  if (stage.hidden) return;
  const [x, y] = middle(chips.get(id));
  const [width, height] = [stage.clientWidth / place.scale, stage.clientHeight / place.scale];
  const inside = x > place.x && x < place.x + width && y > place.y && y < place.y + height;
  if (!inside) place = { ...place, x: x - width / 2, y: y - height / 2 };
  redraw();
}

function next([dx, dy]) {
  const [x, y] = middle(chips.get(current));
  let best = null;
  for (const [id, chip] of chips) {
    const [cx, cy] = middle(chip);
    const along = (cx - x) * dx + (cy - y) * dy;
    const cost = along + 3 * (Math.abs((cx - x) * dy) + Math.abs((cy - y) * dx));
    if (along > 0 && !chip.classList.contains("off") && (!best || cost < best.cost)) best = { id, cost };
  }
  if (best) goTo(best.id);
}

function goTo(id) {
  enter(id);
  reveal(id);
  chips.get(id).focus({ preventScroll: true });
}
