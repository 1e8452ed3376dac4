// ---------------------------------------------------------------- selection
let chosen = {};
// The lines of the selection, drawn again, so that all others fade together.
const lit = draw("g", { class: "lit", "aria-hidden": "true" });

function choose(choice = {}) {
  chosen = choice;
  const { vpc, pair, finding } = choice;
  const own = vpc ? [vpc] : pair !== undefined ? map.pairs[pair].between : concerns[finding]?.vpcs ?? [];
  const near = vpc ? pairsOf.get(vpc) ?? [] : pair !== undefined ? [pair] : concerns[finding]?.pairs ?? [];
  const ends = new Set([...own, ...near.flatMap((n) => map.pairs[n].between)]);
  for (const [id, chip] of chips) {
    chip.classList.toggle("near", ends.has(id));
    chip.classList.toggle("self", own.includes(id));
    chip.setAttribute("aria-pressed", own.includes(id));
  }
  lit.replaceChildren(...near.flatMap((n) => lines.get(n)?.cloneNode(true) ?? []));
  svg.classList.toggle("chosen", own.length > 0);
  const inside = info.contains(document.activeElement);
  const details = vpc ? describeVpc(vpc) : pair !== undefined ? describePair(pair) : finding !== undefined ? describeFinding(finding) : describeAll();
  info.replaceChildren(...details.filter(Boolean));
  info.scrollTop = 0;
  // The button that had the focus is gone.
  if (inside) info.querySelector("h2").focus();
  saveState();
}

function chooseAt(target) {
  const data = target?.closest("[data-vpc], [data-pair], [data-finding]")?.dataset;
  if (!data) return false;
  if (data.vpc) enter(data.vpc);
  choose(data.vpc ? { vpc: data.vpc } : data.pair ? { pair: Number(data.pair) } : { finding: Number(data.finding) });
  return true;
}

// Lines are thin: a click near a line selects it.
function closeTo({ clientX, clientY, target }) {
  if (target.closest("[data-vpc], [data-pair]")) return target;
  const around = [1, 2, 3, 4, 5].flatMap((far) => [[0, far], [0, -far], [far, 0], [-far, 0]]);
  const there = around.map(([dx, dy]) => document.elementFromPoint(clientX + dx, clientY + dy));
  return there.find((it) => it?.matches("#stage [data-pair]"));
}

// ---------------------------------------------------------------- search and filters
const filterOf = (name, title, all, values = sorted(all)) => ({ name, title, all, values });
const filters = [
  filterOf("mesh", "Mesh", map.vpcs.flatMap((vpc) => vpc.meshes), meshes),
  filterOf("state", "State of pairs", map.pairs.map((_, n) => stateOf(n))),
  filterOf("account", "Account", map.vpcs.map((vpc) => vpc.account)),
  filterOf("region", "Region", map.vpcs.map((vpc) => vpc.region)),
].filter((it) => it.values.length);
const boxes = (name) => [...byId("filters").querySelectorAll(name ? `[name="${name}"]` : "input")];
let shown = { vpcs: new Set(), pairs: [], findings: [] };

function filterRow(name, value, total) {
  const mesh = name === "mesh";
  const box = make("input", { type: "checkbox", name, value, checked: "", class: mesh ? `mesh-${meshes.indexOf(value) % 8}` : "" });
  const line = name === "state" && sample(healths[map.pairs.findIndex((_, n) => stateOf(n) === value)]);
  const count = make("i", { "aria-hidden": "true" }, digits(total ?? 0));
  return make("label", { class: mesh ? "row map" : "row" }, box, line, make("span", {}, value), count);
}

function drawFilters() {
  for (const { name, title, values, all } of filters) {
    const totals = new Map();
    for (const value of all) totals.set(value, (totals.get(value) ?? 0) + 1);
    const toggle = button({ class: "plain", "data-toggle": name, "aria-label": `${title}: all or none` });
    byId("filters").append(make("div", { class: "group", role: "group", "aria-label": title },
      make("div", { class: "top" }, make("h2", {}, title), toggle), ...values.map((value) => filterRow(name, value, totals.get(value)))));
  }
}

function toggleGroup({ target }) {
  const name = target.dataset.toggle;
  if (!name) return;
  const wanted = !boxes(name).some((box) => box.checked);
  for (const box of boxes(name)) box.checked = wanted;
  filter();
}

function wantedNow() {
  const wanted = Object.fromEntries(["mesh", "state", "account", "region"].map((name) =>
    [name, new Set(boxes(name).filter((box) => box.checked).map((box) => box.value))]));
  const word = byId("search").value.trim().toLowerCase();
  const inMesh = (it) => it.meshes.some((mesh) => wanted.mesh.has(mesh));
  const found = (vpc) => [vpc.vpc, vpc.name ?? "", ...vpc.cidrs].some((text) => text.toLowerCase().includes(word));
  const area = map.vpcs.filter((vpc) => inMesh(vpc) && wanted.account.has(vpc.account) && wanted.region.has(vpc.region));
  const reach = new Set(area.map((vpc) => vpc.vpc));
  const hits = new Set(area.filter(found).map((vpc) => vpc.vpc));
  const pairs = map.pairs.flatMap((pair, n) => {
    const known = pair.between.filter((id) => vpcs.has(id));
    const fits = inMesh(pair) && wanted.state.has(stateOf(n)) && known.every((id) => reach.has(id));
    return fits && (!word || known.some((id) => hits.has(id))) ? [n] : [];
  });
  const findings = concerns.flatMap((about, n) => (!about.vpcs.length || about.vpcs.some((id) => hits.has(id)) ? [n] : []));
  return { vpcs: hits, pairs, findings };
}

function filter() {
  shown = wantedNow();
  const pairs = new Set(shown.pairs);
  const ends = new Set(byId("search").value.trim() ? shown.pairs.flatMap((n) => map.pairs[n].between) : []);
  for (const [id, chip] of chips) {
    chip.classList.toggle("off", !shown.vpcs.has(id) && !ends.has(id));
    chip.classList.toggle("dim", !shown.vpcs.has(id));
  }
  for (const line of [...lines.values(), ...lit.children]) line.classList.toggle("off", !pairs.has(Number(line.dataset.pair)));
  svg.classList.toggle("crowded", pairs.size > CROWD);
  svg.style.setProperty("--line", Math.min(0.75, Math.max(0.05, 8 / Math.sqrt(pairs.size))));
  redraw();
  if (!shown.vpcs.has(current)) enter([...chips.keys()].find((id) => shown.vpcs.has(id)));
  tellCount();
  if (!tables.hidden) drawTables();
  saveState();
}

function tellCount() {
  const part = (some, all, noun) => (some === all ? count(all, noun) : `${digits(some)} of ${count(all, noun)}`);
  byId("count").textContent = [part(shown.vpcs.size, map.vpcs.length, "VPC"), part(shown.pairs.length, map.pairs.length, "pair"),
    part(shown.findings.length, map.findings.length, "finding")].join(" · ");
  byId("nothing").hidden = shown.vpcs.size > 0 || !tables.hidden;
  byId("nothing").textContent = map.vpcs.length ? "Nothing matches the search and the filters."
    : "No VPC requests a mesh yet. Tag one with peerd:env, and the next map shows it.";
  for (const it of byId("filters").querySelectorAll("[data-toggle]")) {
    it.textContent = boxes(it.dataset.toggle).some((box) => box.checked) ? "none" : "all";
  }
}

function showAll() {
  byId("search").value = "";
  for (const box of boxes()) box.checked = true;
  filter();
}

// ---------------------------------------------------------------- tables
function drawTables() {
  const link = (data, text) => button({ class: "plain", ...data }, text);
  const part = (title, heads, items, row) => [make("h2", {}, `${title} (${digits(items.length)})`), ...table(title, heads, items, row)];
  const nodes = map.vpcs.filter(({ vpc }) => shown.vpcs.has(vpc));
  const vpcRow = ({ vpc, account, region, cidrs, meshes, status }) => [
    [link({ "data-vpc": vpc }, nameOf(vpc)), nameOf(vpc) !== vpc && make("div", { class: "code faint" }, vpc)],
    account, region, cidrs.join(", "), meshes.join(", "), status];
  const pairRow = (n, { between, peering, meshes } = map.pairs[n]) => [
    link({ "data-pair": n }, between.map(fullName).join(" – ")), stateOf(n), peering ?? "none", meshes.join(", ")];
  const findingRow = (n, { kind, subject, text, remedy } = map.findings[n]) => [link({ "data-finding": n }, kind), subject, text, remedy];
  tables.replaceChildren(
    ...part("VPCs", ["VPC", "Account", "Region", "CIDRs", "Meshes", "Status"], nodes, vpcRow),
    ...part("Pairs", ["Pair", "State", "Peering", "Meshes"], worstFirst([...shown.pairs]), (n) => pairRow(n)),
    ...part("Findings", ["Finding", "Subject", "Problem", "Fix"], shown.findings, (n) => findingRow(n)));
}

function showTables(asked) {
  tables.hidden = !asked;
  stage.hidden = asked;
  byId("as-table").setAttribute("aria-pressed", asked);
  byId("as-map").setAttribute("aria-pressed", !asked);
  if (asked) drawTables();
  else redraw();
  tellCount();
}

// ---------------------------------------------------------------- zoom
const AROUND = { side: 60, above: 118, below: 60 };
let view = { x: 0, y: 0, scale: 1 };
let due = null;

// At most once a frame.
const redraw = () => (due ??= requestAnimationFrame(paint));

function paint() {
  due = null;
  const { clientWidth: width, clientHeight: height } = stage;
  if (!width || !height) return;
  svg.setAttribute("viewBox", `${view.x} ${view.y} ${width / view.scale} ${height / view.scale}`);
  svg.classList.toggle("far", view.scale < 0.7);
  svg.classList.toggle("farther", view.scale < 0.3);
  byId("many").hidden = view.scale < 0.3 || shown.pairs.length <= CROWD;
}

function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const scale = Math.min(Math.max(view.scale * factor, 0.02), 4);
  view = { x: view.x + x / view.scale - x / scale, y: view.y + y / view.scale - y / scale, scale };
  redraw();
}

// The bounds of the visible chips, with their areas.
function fit() {
  const { x, y, width, height } = svg.querySelector(".vpcs").getBBox();
  const [room, high] = [stage.clientWidth, stage.clientHeight];
  if (!width || !room) return;
  const scale = Math.min(room / (width + 2 * AROUND.side), high / (height + AROUND.above + AROUND.below), 1.25);
  const middle = { x: x + width / 2, y: y + (height - AROUND.above + AROUND.below) / 2 };
  view = { x: middle.x - room / scale / 2, y: middle.y - high / scale / 2, scale };
  redraw();
}

let drag = null;

function move(event) {
  if (!drag) return;
  const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
  drag.far ||= Math.hypot(dx, dy) > 4;
  if (!drag.far) return;
  stage.classList.add("dragging");
  view = { ...view, x: drag.view.x - dx / view.scale, y: drag.view.y - dy / view.scale };
  redraw();
}

// ---------------------------------------------------------------- keyboard
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
  const [width, height] = [stage.clientWidth / view.scale, stage.clientHeight / view.scale];
  const inside = x > view.x && x < view.x + width && y > view.y && y < view.y + height;
  if (!inside) view = { ...view, x: x - width / 2, y: y - height / 2 };
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

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function key(event) {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const onChip = target.closest("#stage [data-vpc]");
  if (target.matches("input[type=search]")) {
    if (key !== "Enter" || !shown.vpcs.size || !tables.hidden) return;
    goTo(current);
  } else if (key === "Escape") choose();
  else if (key === "/") byId("search").focus();
  else if (key === "+" || key === "=") zoom(1.4);
  else if (key === "-") zoom(1 / 1.4);
  else if (key === "0") fit();
  else if (onChip && ARROWS[key]) next(ARROWS[key]);
  else if (onChip && (key === "Enter" || key === " ")) chooseAt(target);
  else return;
  event.preventDefault();
}

// ---------------------------------------------------------------- state in the URL
function saveState() {
  const state = new URLSearchParams(Object.entries(chosen));
  if (byId("search").value) state.set("q", byId("search").value);
  for (const box of boxes()) if (!box.checked) state.append(`not-${box.name}`, box.value);
  history.replaceState(null, "", `#${state}`);
}

const isIndex = (text, list) => /^\d+$/.test(text ?? "") && Number(text) < list.length;

function recall() {
  const state = new URLSearchParams(location.hash.slice(1));
  const [vpc, pair, finding] = ["vpc", "pair", "finding"].map((name) => state.get(name));
  byId("search").value = state.get("q") ?? "";
  for (const box of boxes()) box.checked = !state.getAll(`not-${box.name}`).includes(box.value);
  filter();
  if (vpcs.has(vpc)) choose({ vpc });
  else if (isIndex(pair, map.pairs)) choose({ pair: Number(pair) });
  else choose(isIndex(finding, map.findings) ? { finding: Number(finding) } : {});
}

// ---------------------------------------------------------------- begin
// Above the lines: titles and the pairs that are not active. A screen reader finds the pairs in the details and tables.
function arrange() {
  const pairs = svg.querySelector(".pairs");
  const trouble = draw("g", { class: "trouble", "aria-hidden": "true" }, ...pairs.querySelectorAll(".waiting, .broken"));
  pairs.setAttribute("aria-hidden", "true");
  pairs.after(trouble, lit);
  const titles = [...svg.querySelectorAll(".areas > g")].map((area) =>
    draw("g", { class: area.getAttribute("class") }, area.querySelector("text")));
  svg.append(draw("g", { class: "titles" }, ...titles));
}

function labelChip(chip, { vpc, account, region, cidrs, meshes }) {
  const open = findingsOfVpc(vpc).length;
  const facts = [`VPC ${fullName(vpc)}`, `account ${account}`, region, ...cidrs, ...meshes];
  const says = [...facts, ...(open ? [count(open, "finding")] : [])].join(", ");
  fill(chip, { role: "button", tabindex: "-1", "aria-label": says }, [draw("title", {}, says)]);
  const name = chip.querySelector(".name");
  name.style.setProperty("--size", `${Math.min(25, 240 / name.textContent.length)}px`);
}

function listen(target, events) {
  for (const [name, heard] of Object.entries(events)) target.addEventListener(name, heard, { passive: false });
}

function begin() {
  arrange();
  for (const [id, chip] of chips) labelChip(chip, vpcs.get(id));
  drawFilters();
  byId("panel").open = !matchMedia("(max-width: 800px)").matches;
  recall();
  fit();
  listen(byId("filters"), { change: filter, click: toggleGroup });
  listen(byId("search"), { input: filter });
  for (const [id, heard] of [["all", showAll], ["as-map", () => showTables(false)], ["as-table", () => showTables(true)], ["fit", fit],
    ["closer", () => zoom(1.4)], ["farther", () => zoom(1 / 1.4)]]) listen(byId(id), { click: heard });
  listen(info, { click: ({ target }) => {
    if (target.closest("#close")) choose();
    else if (chooseAt(target) && chosen.vpc) reveal(chosen.vpc);
  } });
  listen(tables, { click: ({ target }) => chooseAt(target) });
  listen(stage, {
    wheel: (event) => {
      event.preventDefault();
      const box = stage.getBoundingClientRect();
      zoom(Math.exp(-Math.sign(event.deltaY) * Math.min(Math.abs(event.deltaY), 100) / 500), event.clientX - box.x, event.clientY - box.y);
    },
    pointerdown: (event) => event.button === 0 && (drag = { x: event.clientX, y: event.clientY, view, far: false }),
    click: (event) => !drag?.far && !chooseAt(closeTo(event)) && choose(),
  });
  const drop = () => {
    stage.classList.remove("dragging");
    // The click event follows, and checks whether this was a drag.
    setTimeout(() => (drag = null));
  };
  listen(window, { pointermove: move, pointerup: drop, pointercancel: drop, resize: redraw });
  listen(document, { keydown: key });
}

begin();
