const byId = (id) => document.getElementById(id);
const [stage, info, tables, matrix] = ["stage", "info", "tables", "matrix"].map(byId);
const svg = stage.querySelector("svg.map");

// ---------------------------------------------------------------- data
// In base64 and gzip, by lines: words that repeat, such as ids; the line of each pair on the map; JSON, in which a word's
// number after U+0001 stands for the word. A page of 500 VPCs is a twelfth of the size.
async function unpack(text) {
  const packed = new Blob([Uint8Array.from(atob(text), (char) => char.charCodeAt(0))]);
  const [words, curves, rest] = (await new Response(packed.stream().pipeThrough(new DecompressionStream("gzip"))).text()).split("\n");
  const list = JSON.parse(words);
  return { curves: JSON.parse(curves), map: JSON.parse(rest.replace(/\u0001(\d+)/g, (_, number) => list[number])) };
}

const { map, curves } = await unpack(byId("map").textContent);
const vpcs = new Map(map.vpcs.map((vpc) => [vpc.vpc, vpc]));
const sorted = (values) => [...new Set(values)].sort();
const meshes = sorted([...map.vpcs, ...map.pairs].flatMap((it) => it.meshes));
const colorOf = (mesh) => `mesh-${Math.max(meshes.indexOf(mesh), 0) % 16}`;
const scopeOf = ({ account, region }) => `${account}/${region}`;

const HEALTH = ["broken", "waiting", "active"];
const healths = map.pairs.map(({ state, checks }) => {
  if (state === "active") return checks.some((check) => check.result === "fail") ? "broken" : "active";
  return ["missing", "overlapping", "foreign", "failed"].includes(state) ? "broken" : "waiting";
});
const stateOf = (n) => (map.pairs[n].state === "active" && healths[n] === "broken" ? "active, but blocked" : map.pairs[n].state);
// What the plan changes, on the map of a plan.
const isPlan = (map.changes ?? null) !== null;
const CHANGES = { create: "+", update: "~", delete: "−" };
const NO_CHANGE = "no change";
const changeOf = (n) => map.pairs[n].planned?.kind ?? NO_CHANGE;
const worstFirst = (numbers) => numbers.sort((a, b) => HEALTH.indexOf(healths[a]) - HEALTH.indexOf(healths[b]) || a - b);

function collect(entries) {
  const lists = new Map();
  for (const [key, value] of entries) lists.set(key, [...(lists.get(key) ?? []), value]);
  return (key) => lists.get(key) ?? [];
}
const pairsOf = collect(map.pairs.flatMap(({ between }, n) => between.map((id) => [id, n])));

// ---------------------------------------------------------------- findings
const IDS = /\b(?:vpc|pcx|rtb)-[0-9A-Za-z]+/g;
const pairsOver = collect(map.pairs.map(({ peering }, n) => [peering, n]));
const ownerOfTable = new Map(map.pairs.flatMap(({ routes }) => routes.map(({ table, vpc }) => [table, vpc])));

// The VPCs and pairs of each finding. `whole`: it is about all of a mesh, an account or a Region.
const concerns = map.findings.map(({ subject, data: { vpc, peer, peering, table, requester, accepter } = {} }) => {
  const about = [subject, JSON.stringify([vpc, peer, peering, table, requester, accepter])].join(" ");
  const ids = new Set(about.match(IDS));
  const named = [...new Set([...ids].map((id) => ownerOfTable.get(id) ?? id))].filter((id) => vpcs.has(id));
  const near = [...named.flatMap(pairsOf), ...[...ids].flatMap(pairsOver)];
  const fits = ({ peering, between }) => ids.has(peering) || between.every((id) => ids.has(id) || named.includes(id));
  const pairs = [...new Set(near)].filter((n) => fits(map.pairs[n]));
  const direct = [...new Set([...named, ...pairs.flatMap((n) => map.pairs[n].between)])];
  if (ids.size) return { vpcs: direct, pairs, whole: false };
  const within = map.vpcs.filter((vpc) => [scopeOf(vpc), vpc.account, ...vpc.meshes].includes(subject));
  return { vpcs: within.map((vpc) => vpc.vpc), pairs: [], whole: true };
});
const findingsOfVpc = collect(concerns.flatMap((about, n) => about.vpcs.map((id) => [id, n])));
const findingsOfPair = collect(concerns.flatMap((about, n) => about.pairs.map((pair) => [pair, n])));
const findingsAbout = (subject) => map.findings.flatMap((finding, n) => (finding.subject === subject ? [n] : []));

// ---------------------------------------------------------------- states of VPCs
const VPC_STATES = ["unreadable", "refused", "waiting", "joined in part", "joined", "no status"];
const vpcStates = new Map(map.vpcs.map(({ vpc, state }) => [vpc, state.replaceAll("-", " ")]));
const isApart = (state) => VPC_STATES.indexOf(state) < VPC_STATES.indexOf("joined in part");

// ---------------------------------------------------------------- words
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

function listen(target, events) {
  for (const [name, heard] of Object.entries(events)) target.addEventListener(name, heard, { passive: false });
}
