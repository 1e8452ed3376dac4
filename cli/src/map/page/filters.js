// ---------------------------------------------------------------- search and filters
const NONE = "no finding";
const kindsOf = (numbers) => (numbers.length ? numbers.map((n) => map.findings[n].kind) : [NONE]);
const filterOf = (name, title, all, values = sorted(all)) => ({ name, title, all, values });
const present = (order, all) => order.filter((value) => all.includes(value));
const kinds = map.findings.map((finding) => finding.kind);
const filters = [
  filterOf("mesh", "Mesh", map.vpcs.flatMap((vpc) => vpc.meshes), meshes),
  filterOf("state", "State of pairs", map.pairs.map((_, n) => stateOf(n))),
  filterOf("change", "Change of pairs", isPlan ? map.pairs.map((_, n) => changeOf(n)) : [], isPlan ? present([...Object.keys(CHANGES), NO_CHANGE], map.pairs.map((_, n) => changeOf(n))) : []),
  filterOf("vpc-state", "State of VPCs", [...vpcStates.values()], present(VPC_STATES, [...vpcStates.values()])),
  filterOf("finding", "Finding", kinds, kinds.length ? [...sorted(kinds), NONE] : []),
  filterOf("account", "Account", map.vpcs.map((vpc) => vpc.account)),
  filterOf("region", "Region", map.vpcs.map((vpc) => vpc.region)),
].filter((it) => it.values.length);
const boxes = (name) => [...byId("filters").querySelectorAll(name ? `input[name="${name}"]` : "input")];
let shown = { vpcs: new Set(), pairs: [], findings: [] };

const swatches = {
  state: (value) => sample(healths[map.pairs.findIndex((_, n) => stateOf(n) === value)]),
  change: (value) => sample(value === NO_CHANGE ? "active" : value),
  "vpc-state": (value) => draw("svg", { class: "map sample", "aria-hidden": "true" },
    draw("g", { class: `vpc ${value.replaceAll(" ", "-")}` }, draw("rect", { x: 6, y: 1, width: 18, height: 10, rx: 2 }))),
};

function filterRow(name, value, total) {
  const box = make("input", { type: "checkbox", name, value, checked: "", class: name === "mesh" ? colorOf(value) : "" });
  const count = total !== undefined && make("i", { "aria-hidden": "true" }, digits(total));
  const row = make("label", { class: name === "mesh" ? "row map" : "row" }, box, swatches[name]?.(value), make("span", {}, value), count);
  const about = ["mesh", "account"].includes(name) ? findingsAbout(value) : [];
  const marks = about.map((n) => button({ class: "plain mark", "data-finding": n, "aria-label": `Finding about ${value}: ${map.findings[n].kind}` }, "!"));
  return make("div", { class: "line" }, row, ...marks);
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
  if (chooseAt(target.closest("[data-finding]"))) return;
  const name = target.dataset.toggle;
  if (!name) return;
  const wanted = !boxes(name).some((box) => box.checked);
  for (const box of boxes(name)) box.checked = wanted;
  filter();
}

function wantedNow() {
  const checked = new Map(filters.map(({ name }) => [name, new Set(boxes(name).filter((box) => box.checked).map((box) => box.value))]));
  const wants = (name, values) => !checked.has(name) || values.some((value) => checked.get(name).has(value));
  const word = byId("search").value.trim().toLowerCase();
  const found = (texts) => texts.some((text) => text?.toLowerCase().includes(word));
  const area = map.vpcs.filter(({ vpc, meshes, account, region }) => wants("mesh", meshes) && wants("account", [account])
    && wants("region", [region]) && wants("vpc-state", [vpcStates.get(vpc)]) && wants("finding", kindsOf(findingsOfVpc(vpc))));
  const reach = new Set(area.map((vpc) => vpc.vpc));
  const named = new Set(area.filter((vpc) => found([vpc.vpc, vpc.name, ...vpc.cidrs])).map((vpc) => vpc.vpc));
  const hits = new Set(named);
  const pairs = map.pairs.flatMap(({ meshes, between, peering }, n) => {
    const known = between.filter((id) => vpcs.has(id));
    const fits = wants("mesh", meshes) && wants("state", [stateOf(n)]) && wants("change", [changeOf(n)]) && wants("finding", kindsOf(findingsOfPair(n)));
    if (!fits || !known.every((id) => reach.has(id))) return [];
    const asked = word.startsWith("pcx-") && found([peering]);
    if (asked) known.forEach((id) => hits.add(id));
    return !word || asked || known.some((id) => named.has(id)) ? [n] : [];
  });
  const findings = concerns.flatMap((about, n) =>
    (wants("finding", [kinds[n]]) && (!about.vpcs.length || about.vpcs.some((id) => hits.has(id))) ? [n] : []));
  return { vpcs: hits, pairs, findings };
}

// The VPCs that are drawn: those found, and in a search their peers.
function visible() {
  const peers = byId("search").value.trim() ? shown.pairs.flatMap((n) => map.pairs[n].between) : [];
  return new Set([...shown.vpcs, ...peers.filter((id) => vpcs.has(id))]);
}

function filter() {
  shown = wantedNow();
  filterPicture();
  tellCount();
  if (view !== "map") drawView();
  saveState();
}

function tellCount() {
  const part = (some, all, noun) => (some === all ? count(all, noun) : `${digits(some)} of ${count(all, noun)}`);
  byId("count").textContent = [part(shown.vpcs.size, map.vpcs.length, "VPC"), part(shown.pairs.length, map.pairs.length, "pair"),
    part(shown.findings.length, map.findings.length, "finding"), ...(isPlan ? [count(map.changes, "change")] : [])].join(" · ");
  byId("nothing").hidden = shown.vpcs.size > 0 || view === "tables";
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
