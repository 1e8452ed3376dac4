// ---------------------------------------------------------------- tables
function drawTables() {
  const link = (data, text) => button({ class: "plain", ...data }, text);
  const part = (title, heads, items, row) => [make("h2", {}, `${title} (${digits(items.length)})`), ...table(title, heads, items, row)];
  const nodes = map.vpcs.filter(({ vpc }) => shown.vpcs.has(vpc));
  const vpcRow = ({ vpc, account, region, cidrs, meshes, status }) => [
    [link({ "data-vpc": vpc }, nameOf(vpc)), nameOf(vpc) !== vpc && make("div", { class: "code faint" }, vpc)],
    account, region, cidrs.join(", "), meshes.join(", "), [word(vpcStates.get(vpc)), vpcStates.get(vpc) !== "joined" && make("div", { class: "faint" }, status ?? "")]];
  const pairRow = (n, { between, peering, meshes } = map.pairs[n]) => [
    link({ "data-pair": n }, between.map(fullName).join(" – ")), ...(isPlan ? [changeOf(n)] : []), stateOf(n), peering ?? "none", meshes.join(", ")];
  const findingRow = (n, { kind, subject, text, remedy } = map.findings[n]) => [link({ "data-finding": n }, kind), subject, text, remedy];
  tables.replaceChildren(
    ...part("VPCs", ["VPC", "Account", "Region", "CIDRs", "Meshes", "State"], nodes, vpcRow),
    ...part("Pairs", ["Pair", ...(isPlan ? ["Change"] : []), "State", "Peering", "Meshes"], worstFirst([...shown.pairs]), (n) => pairRow(n)),
    ...part("Findings", ["Finding", "Subject", "Problem", "Fix"], shown.findings, (n) => findingRow(n)));
}
