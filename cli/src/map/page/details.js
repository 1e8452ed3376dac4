"use strict";

const map = JSON.parse(document.getElementById("map").textContent);
const byId = (id) => document.getElementById(id);
const [stage, info, tables] = ["stage", "info", "tables"].map(byId);
const svg = stage.querySelector("svg.map");
const chips = new Map([...svg.querySelectorAll("[data-vpc]")].map((chip) => [chip.dataset.vpc, chip]));
const lines = new Map([...svg.querySelectorAll("[data-pair]")].map((line) => [Number(line.dataset.pair), line]));
const vpcs = new Map(map.vpcs.map((vpc) => [vpc.vpc, vpc]));
const sorted = (values) => [...new Set(values)].sort();
const meshes = sorted([...map.vpcs, ...map.pairs].flatMap((it) => it.meshes));
const [PORTION, CROWD] = [100, 1000];

// ---------------------------------------------------------------- data
const HEALTH = ["broken", "waiting", "active"];
const STATES = {
  missing: "missing: not peered",
  overlapping: "overlapping: not peered, because their CIDRs overlap",
  foreign: "foreign: a peering that peerd does not manage",
  leaving: "leaving: no mesh needs it any longer",
};
const healths = map.pairs.map(({ state, checks }) => {
  if (state === "active") return checks.some((check) => check.result === "fail") ? "broken" : "active";
  return ["missing", "overlapping", "foreign", "failed"].includes(state) ? "broken" : "waiting";
});
const stateOf = (n) => (map.pairs[n].state === "active" && healths[n] === "broken" ? "active, but blocked" : map.pairs[n].state);
const worstFirst = (numbers) => numbers.sort((a, b) => HEALTH.indexOf(healths[a]) - HEALTH.indexOf(healths[b]) || a - b);

const pairsOf = new Map();
map.pairs.forEach(({ between }, n) => between.forEach((id) => pairsOf.set(id, [...(pairsOf.get(id) ?? []), n])));

// The VPCs and pairs of each finding.
const concerns = map.findings.map(({ subject }) => {
  const named = map.vpcs.map(({ vpc }) => vpc).filter((id) => subject.includes(id));
  const near = subject.includes("pcx-") ? map.pairs.keys() : named.flatMap((id) => pairsOf.get(id) ?? []);
  const about = ({ peering, between }) => (peering && subject.includes(peering)) || between.every((id) => subject.includes(id));
  const pairs = [...new Set(near)].filter((n) => about(map.pairs[n]));
  return { vpcs: [...new Set([...named, ...pairs.flatMap((n) => map.pairs[n].between)])], pairs };
});
const findingsOfVpc = (id) => concerns.flatMap((about, n) => (about.vpcs.includes(id) ? [n] : []));
const findingsOfPair = (pair) => concerns.flatMap((about, n) => (about.pairs.includes(pair) ? [n] : []));

const nameOf = (id) => vpcs.get(id)?.name?.trim() || id;
const fullName = (id) => (nameOf(id) === id ? id : `${nameOf(id)} (${id})`);
const pairName = (n) => map.pairs[n].between.map(nameOf).join(" – ");
const digits = (number) => number.toLocaleString("en-US");
const count = (number, noun) => `${digits(number)} ${noun}${number === 1 ? "" : "s"}`;

// ---------------------------------------------------------------- elements
// Names come from the tags of VPCs: they are only ever added as text.
function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter(Boolean));
  return made;
}
const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes, ...children) => fill(document.createElementNS(svg.namespaceURI, tag), attributes, children);
const button = (attributes, ...children) => make("button", { type: "button", ...attributes }, ...children);
const sample = (health) =>
  draw("svg", { class: "map sample", "aria-hidden": "true" }, draw("path", { class: `pair ${health}`, d: "M1 6H30" }));

// Shows many things a portion at a time.
function portions(parent, items, noun, row) {
  const more = button({ class: "more" });
  let next = 0;
  const show = () => {
    parent.append(...items.slice(next, next + PORTION).map(row));
    next += PORTION;
    more.hidden = next >= items.length;
    more.textContent = `Show more ${noun} (${items.length - next} left)`;
  };
  more.addEventListener("click", show);
  show();
  return [parent, more];
}

function listed(title, items, row) {
  if (!items.length) return [];
  const list = portions(make("ul"), items, title.toLowerCase(), (it) => make("li", {}, row(it)));
  return [make("h3", {}, `${title} (${digits(items.length)})`), ...list];
}

// A VPC by its name, if it has one, and its id.
const twoLines = (id) => [make("b", {}, nameOf(id)), nameOf(id) !== id && make("span", { class: "code faint" }, id)];
const vpcButton = (id) => button({ class: "item", "data-vpc": id }, make("span", {}, ...twoLines(id)));
function pairButton(n, from) {
  const text = from ? twoLines(map.pairs[n].between.find((id) => id !== from)) : [make("b", {}, pairName(n))];
  const state = make("i", { class: healths[n] === "broken" ? "fail" : "faint" }, stateOf(n));
  return button({ class: "item", "data-pair": n }, sample(healths[n]), make("span", {}, ...text), state);
}
function findingButton(n) {
  const { kind, text, subject } = map.findings[n];
  return button({ class: "item", "data-finding": n },
    make("span", {}, make("b", { class: "kind" }, `! ${kind}`), text, make("span", { class: "code faint" }, subject)));
}

function facts(entries) {
  const rows = entries.filter(([, value]) => value).map(([term, value]) => [make("dt", {}, term), make("dd", {}, value)]);
  return make("dl", {}, ...rows.flat());
}

function table(title, heads, items, row) {
  const columns = heads.map((head) => make("th", { scope: "col" }, head));
  const line = (it) => make("tr", {}, ...row(it).map((cell) => make("td", {}, ...[cell].flat())));
  const [body, more] = portions(make("tbody"), items, title, line);
  return [make("table", { "aria-label": title }, make("thead", {}, make("tr", {}, ...columns)), body), more];
}

// ---------------------------------------------------------------- details
const SIGNS = { pass: "✓ pass", warn: "◐ warn", fail: "✕ fail" };
const fix = (remedy) => remedy && make("p", { class: "faint" }, `Fix: ${remedy}`);

function heading(text, closes = true) {
  const close = closes && button({ id: "close", "aria-label": "Close the details", title: "Close (Esc)" }, "✕");
  return make("div", { class: "top" }, make("h2", { tabindex: "-1" }, text), close);
}

function describeVpc(id) {
  const { account, region, cidrs, meshes, status } = vpcs.get(id);
  return [
    heading(nameOf(id)),
    facts([["Id", make("span", { class: "code" }, id)], ["Account", account], ["Region", region], ["CIDRs", cidrs.join(", ")],
      ["Meshes", meshes.join(", ")], ["Status", status]]),
    ...listed("Findings", findingsOfVpc(id), findingButton),
    ...listed("Pairs", worstFirst(pairsOf.get(id) ?? []), (n) => pairButton(n, id)),
  ];
}

const VERDICTS = {
  fail: "They cannot reach each other",
  warn: "They can reach each other, with restrictions",
  pass: "They can reach each other",
};

function explained({ checks, between }) {
  if (!checks.length) return [];
  const first = checks.find((check) => check.result === "fail") ?? checks.find((check) => check.result === "warn");
  const worst = first?.result ?? "pass";
  const shown = ({ result, text, remedy }) => make("li", {}, make("b", { class: result }, SIGNS[result]), make("span", {}, text), fix(remedy));
  return [
    make("p", { class: `verdict ${worst}` }, make("span", { "aria-hidden": "true" }, SIGNS[worst][0]), VERDICTS[worst]),
    first && make("div", { class: "first" }, make("b", {}, "Blocking: "), first.text, fix(first.remedy)),
    make("h3", {}, `Checks (${checks.length})`),
    make("ul", { class: "checks" }, ...checks.map(shown)),
    make("p", { class: "faint" }, "Not checked here: network ACLs and security groups. For these: ",
      make("span", { class: "code" }, `peerd explain ${between.join(" ")}`)),
  ];
}

function routesOf(pair, id) {
  const routes = pair.routes.filter((route) => route.vpc === id);
  const title = `Routes of ${nameOf(id)}`;
  const shown = table(title, ["Table", "CIDR block"], routes, (route) => [route.table, route.cidr]);
  return [make("h3", {}, title), ...(routes.length ? shown : [make("p", {}, "No route uses a peering of the two.")])];
}

function describePair(n) {
  const pair = map.pairs[n];
  const state = make("span", {}, sample(healths[n]), " ", STATES[pair.state] ?? stateOf(n));
  return [
    heading(pairName(n)),
    ...pair.between.map((id) => (vpcs.has(id) ? vpcButton(id) : make("p", { class: "code faint" }, `${id} (in no mesh)`))),
    facts([["State", state], ["Peering", pair.peering && make("span", { class: "code" }, pair.peering)], ["Meshes", pair.meshes.join(", ")]]),
    ...explained(pair),
    ...listed("Findings", findingsOfPair(n), findingButton),
    ...pair.between.flatMap((id) => routesOf(pair, id)),
  ];
}

function describeFinding(n) {
  const { kind, subject, text, remedy } = map.findings[n];
  return [
    heading(`Finding: ${kind}`), make("p", { class: "code faint" }, subject),
    make("div", { class: "first" }, text, fix(remedy)),
    ...listed("VPCs", concerns[n].vpcs.filter((id) => vpcs.has(id)), vpcButton),
    ...listed("Pairs", concerns[n].pairs, (pair) => pairButton(pair)),
  ];
}

function describeAll() {
  const open = listed("Findings", map.findings.map((_, n) => n), findingButton);
  return [heading("Overview", false), make("p", { class: "faint" }, "Select a VPC, a line between two, or a finding."),
    ...(open.length ? open : [make("p", { class: "verdict pass" }, "✓ No open findings")])];
}
