// ---------------------------------------------------------------- lists and tables
const PORTION = 100;

// Shows many things a portion at a time.
function portions(parent, items, noun, row) {
  const more = button({ class: "more" });
  let next = 0;
  const show = (most = PORTION) => {
    parent.append(...items.slice(next, next + most).map(row));
    next += most;
    more.hidden = next >= items.length;
    more.textContent = `Show more ${noun} (${items.length - next} left)`;
  };
  listen(more, { click: () => show(), all: () => show(items.length) });
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
const word = (state) => make("i", { class: state === "waiting" ? "warn" : isApart(state) ? "fail" : "faint" }, state);
const vpcButton = (id) =>
  button({ class: "item", "data-vpc": id }, make("span", {}, ...twoLines(id)), word(vpcStates.get(id)));
function pairButton(n, from) {
  const text = from ? twoLines(map.pairs[n].between.find((id) => id !== from)) : [make("b", {}, pairName(n))];
  const change = map.pairs[n].planned?.kind;
  const state = change ? make("i", { class: change }, `${CHANGES[change]} ${change}`)
    : make("i", { class: healths[n] === "broken" ? "fail" : "faint" }, stateOf(n));
  return button({ class: "item", "data-pair": n }, sample(healths[n]), make("span", {}, ...text), state);
}
function findingButton(n) {
  const { kind, text, subject, remedy } = map.findings[n];
  return button({ class: "item", "data-finding": n },
    make("span", {}, make("b", { class: "kind" }, `! ${kind}`), text, make("span", { class: "code faint" }, subject), fix(remedy)));
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
const STATES = {
  missing: "missing: not peered",
  overlapping: "overlapping: not peered, because their CIDRs overlap",
  foreign: "foreign: a peering that peerd does not manage",
  leaving: "leaving: no mesh needs it any longer",
};
const fix = (remedy) => remedy && make("span", { class: "faint fix" }, `Fix: ${remedy}`);

function heading(text, closes = true) {
  const close = closes && button({ id: "close", "aria-label": "Close the details", title: "Close (Esc)" }, "✕");
  return make("div", { class: "top" }, make("h2", { tabindex: "-1" }, text), close);
}

function describeVpc(id) {
  const { account, region, cidrs, meshes, status } = vpcs.get(id);
  return [
    heading(nameOf(id)),
    facts([["Id", make("span", { class: "code" }, id)], ["Account", account], ["Region", region], ["CIDRs", cidrs.join(", ")],
      ["Meshes", meshes.join(", ")], ["State", word(vpcStates.get(id))], ["Status", status]]),
    ...planned(vpcs.get(id).planned),
    ...listed("Findings", findingsOfVpc(id), findingButton),
    ...listed("Pairs", worstFirst(pairsOf(id)), (n) => pairButton(n, id)),
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
    make("p", { class: "faint" }, "Not checked here: network ACLs and security groups. For these: ", command(between)),
  ];
}

const WILL = { create: "Created by the plan", update: "Changed by the plan", delete: "Deleted by the plan" };

function planned(change) {
  if (!change) return [];
  const steps = listed("Planned changes", change.steps, (step) => make("span", { class: "code" }, step));
  return [make("p", { class: `verdict ${change.kind}` }, `${CHANGES[change.kind]} ${WILL[change.kind]}`), ...steps];
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
    ...planned(pair.planned),
    ...explained(pair),
    ...listed("Findings", findingsOfPair(n), findingButton),
    ...pair.between.flatMap((id) => routesOf(pair, id)),
  ];
}

const command = (ends) => make("span", { class: "code" }, `peerd explain ${ends.join(" ")}`);

// Two VPCs without a pair.
function describeApart(ends) {
  const [ours, theirs] = ends.map((id) => vpcs.get(id).meshes);
  const common = ours.filter((mesh) => theirs.includes(mesh));
  const why = common.length ? `Both request ${common.join(", ")}, which does not connect them: a VPC is refused, or neither is a hub.`
    : "They have no mesh in common.";
  const of = (id) => facts([["Meshes", vpcs.get(id).meshes.join(", ")], ["Status", vpcs.get(id).status]]);
  return [
    heading(ends.map(nameOf).join(" – ")),
    make("p", { class: "verdict" }, "No mesh connects them"),
    make("p", {}, why),
    ...ends.flatMap((id) => [vpcButton(id), of(id)]),
    make("p", { class: "faint last" }, "Another peering can connect them. To see: ", command(ends)),
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

// What the plan changes, with the pairs to select.
function planSummary() {
  if (!isPlan) return [];
  if (!map.changes) return [make("p", { class: "verdict pass" }, "✓ The plan changes nothing")];
  const numbers = map.pairs.map((_, n) => n);
  const groups = Object.keys(CHANGES).map((kind) => [kind, numbers.filter((n) => changeOf(n) === kind)]).filter(([, of]) => of.length);
  const parts = groups.map(([kind, of]) => make("li", { class: kind }, `${CHANGES[kind]} ${kind} ${count(of.length, "pair")}`));
  return [make("p", { class: "verdict" }, `${count(map.changes, "change")} in the plan`), make("ul", { class: "changes" }, ...parts)];
}

function describeAll() {
  const open = listed("Findings", map.findings.map((_, n) => n), findingButton);
  return [heading(isPlan ? "After the plan" : "Overview", false), ...planSummary(),
    make("p", { class: "faint" }, "Select a VPC, a line between two, or a finding."),
    ...(open.length ? open : [make("p", { class: "verdict pass" }, "✓ No open findings")])];
}
