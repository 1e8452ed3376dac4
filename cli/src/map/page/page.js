// ---------------------------------------------------------------- selection
// One of: a VPC, two VPCs without a pair (`vpc` and `peer`), a pair, a finding.
let chosen = {};

function concerned({ vpc, peer, pair, finding }) {
  if (vpc) return { own: [vpc, peer].filter(Boolean), near: peer ? [] : pairsOf(vpc) };
  if (pair !== undefined) return { own: map.pairs[pair].between, near: [pair] };
  return { own: concerns[finding]?.vpcs ?? [], near: concerns[finding]?.pairs ?? [] };
}

function describe({ vpc, peer, pair, finding }) {
  if (vpc) return peer ? describeApart([vpc, peer]) : describeVpc(vpc);
  if (pair !== undefined) return describePair(pair);
  return finding !== undefined ? describeFinding(finding) : describeAll();
}

function choose(choice = {}) {
  chosen = choice;
  const { own, near } = concerned(choice);
  const ends = new Set([...own, ...near.flatMap((n) => map.pairs[n].between)]);
  for (const [id, chip] of chips) {
    chip.classList.toggle("near", ends.has(id));
    chip.classList.toggle("self", own.includes(id));
    chip.setAttribute("aria-pressed", own.includes(id));
  }
  lit.replaceChildren(...near.flatMap((n) => lines.get(n)?.cloneNode(true) ?? []));
  svg.classList.toggle("chosen", own.length > 0);
  const inside = info.contains(document.activeElement);
  info.replaceChildren(...describe(choice).filter(Boolean));
  info.scrollTop = 0;
  // The button that had the focus is gone.
  if (inside) info.querySelector("h2").focus();
  markCells();
  saveState();
}

function chooseAt(target) {
  const data = target?.closest("[data-vpc], [data-pair], [data-finding]")?.dataset;
  if (!data) return false;
  if (data.vpc) enter(data.vpc);
  choose(data.vpc ? { vpc: data.vpc } : data.pair ? { pair: Number(data.pair) } : { finding: Number(data.finding) });
  return true;
}

// ---------------------------------------------------------------- views
const VIEWS = { map: stage, matrix, tables };
let view = "map";

function drawView() {
  if (view === "map") redraw();
  else if (view === "matrix") drawMatrix();
  else drawTables();
}

function show(name) {
  view = name;
  document.body.dataset.shows = name;
  for (const [it, part] of Object.entries(VIEWS)) part.hidden = it !== name;
  for (const it of document.querySelectorAll(".switch [data-view]")) it.setAttribute("aria-pressed", it.dataset.view === name);
  paint();
  drawView();
  if (name === "matrix") fitMatrix();
  tellCount();
  saveState();
}

const fit = () => (view === "matrix" ? fitMatrix() : fitPicture());
const zoom = (factor) => (view === "matrix" ? zoomMatrix(factor) : zoomPicture(factor));

// ---------------------------------------------------------------- keyboard
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function key(event) {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const onChip = target.closest("#stage [data-vpc]");
  const onCell = target.closest("#cells [role=gridcell]");
  if (target.matches("input[type=search]")) {
    if (key !== "Enter" || !shown.vpcs.size || view !== "map") return;
    goTo(current);
  } else if (key === "Escape") choose();
  else if (key === "/") byId("search").focus();
  else if (key === "+" || key === "=") zoom(1.4);
  else if (key === "-") zoom(1 / 1.4);
  else if (key === "0") fit();
  else if (onChip && ARROWS[key]) next(ARROWS[key]);
  else if (onChip && (key === "Enter" || key === " ")) chooseAt(target);
  else if (onCell && (ARROWS[key] || STEPS[key])) step(ARROWS[key] ?? STEPS[key]);
  else if (onCell && (key === "Enter" || key === " ")) chooseCell(cursor);
  else return;
  event.preventDefault();
}

// ---------------------------------------------------------------- state in the URL
function saveState() {
  const state = new URLSearchParams(Object.entries(chosen));
  if (view !== "map") state.set("view", view);
  if (byId("search").value) state.set("q", byId("search").value);
  for (const box of boxes()) if (!box.checked) state.append(`not-${box.name}`, box.value);
  history.replaceState(null, "", `#${state}`);
}

const isIndex = (text, list) => /^\d+$/.test(text ?? "") && Number(text) < list.length;

function recall() {
  const state = new URLSearchParams(location.hash.slice(1));
  const [vpc, peer, pair, finding] = ["vpc", "peer", "pair", "finding"].map((name) => state.get(name));
  byId("search").value = state.get("q") ?? "";
  for (const box of boxes()) box.checked = !state.getAll(`not-${box.name}`).includes(box.value);
  shown = wantedNow();
  show(Object.hasOwn(VIEWS, state.get("view")) ? state.get("view") : "map");
  filter();
  if (vpcs.has(vpc)) choose(vpcs.has(peer) ? { vpc, peer } : { vpc });
  else if (isIndex(pair, map.pairs)) choose({ pair: Number(pair) });
  else choose(isIndex(finding, map.findings) ? { finding: Number(finding) } : {});
}

// ---------------------------------------------------------------- print
// Paper shows the legend, the whole matrix, and all rows of the tables.
function print({ matches }) {
  if (matches) byId("panel").open = true;
  if (view === "matrix") fitMatrix(matches ? PAPER : undefined);
  if (matches && view === "tables") for (const more of tables.querySelectorAll(".more")) more.dispatchEvent(new Event("all"));
}

// ---------------------------------------------------------------- begin
function begin() {
  arrange();
  drawFilters();
  drawKey();
  byId("panel").open = !matchMedia("(max-width: 800px)").matches;
  recall();
  fitPicture();
  listen(byId("filters"), { change: filter, click: toggleGroup });
  listen(byId("search"), { input: filter });
  for (const [id, heard] of [["all", showAll], ["fit", fit], ["closer", () => zoom(1.4)], ["farther", () => zoom(1 / 1.4)]]) {
    listen(byId(id), { click: heard });
  }
  listen(document.querySelector(".switch"), { click: ({ target }) => target.dataset.view && show(target.dataset.view) });
  listen(info, { click: ({ target }) => {
    if (target.closest("#close")) choose();
    else if (chooseAt(target) && chosen.vpc) reveal(chosen.vpc);
  } });
  listen(tables, { click: ({ target }) => chooseAt(target) });
  listen(stage, {
    wheel: (event) => {
      event.preventDefault();
      const box = stage.getBoundingClientRect();
      zoomPicture(Math.exp(-Math.sign(event.deltaY) * Math.min(Math.abs(event.deltaY), 100) / 500), event.clientX - box.x, event.clientY - box.y);
    },
    pointerdown: (event) => event.button === 0 && (drag = { x: event.clientX, y: event.clientY, place, far: false }),
    click: (event) => !drag?.far && !chooseAt(closeTo(event)) && choose(),
  });
  listenToMatrix();
  const drop = () => {
    stage.classList.remove("dragging");
    // The click event follows, and checks whether this was a drag.
    setTimeout(() => (drag = null));
  };
  listen(window, { pointermove: move, pointerup: drop, pointercancel: drop, resize: redraw });
  listen(document, { keydown: key });
  listen(matchMedia("print"), { change: print });
}

begin();
