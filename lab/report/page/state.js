// ---- what is shown, from the state alone -----------------------------------------------------------------------
const RANK = ["serving", "frozen", "cut off", "killed", "starting", "standing by", "draining"];
function occupants(s, slot) {
  const all = [...(s.now[slot] || new Map()).values()];
  return all.sort((a, b) => RANK.indexOf(a.state) - RANK.indexOf(b.state) || b.since - a.since);
}
function lately(s) {
  const last = s.samples.slice(-8).filter((one) => one.t > s.t - 3), every = s.plan.every;
  const seconds = Math.max(last.length, 1) * every, slots = {};
  let answers = 0;
  for (const one of last) {
    for (const [slot, count] of Object.entries(one.slots || {})) slots[slot] = (slots[slot] || 0) + count / seconds;
    answers += (one.by || []).reduce((sum, count) => sum + count, 0);
  }
  const newest = last.at(-1) || {};
  return { slots, rate: answers / seconds, p50: newest.p50 || 0, p99: newest.p99 || 0 };
}
// The verdict's kind, its word, which is the biggest thing on the page, and what it means.
function verdictOf(s) {
  if (!s.plan.users) return ["", `${s.serving} of ${s.slots.length}`, "slots serve"]; // a cluster that stands, without users
  const users = s.plan.users, hurt = s.hurt.size, kept = `${number(users - hurt)} of ${plural(users, "user")} kept their state`;
  const lost = `${number(hurt)} of ${plural(users, "user")} hurt`;
  if (s.ended) {
    if (s.ended.verdict === "held") return ["held", "✓ HELD", kept];
    if (s.ended.verdict !== "broken") return ["unknown", "? COULD NOT TELL", hurt ? lost : "nothing is proved by this run"];
    const first = s.ended.promises.find((one) => one.verdict === "broken");
    return ["broken", "✕ BROKEN", hurt ? lost : first ? `${first.title}: not so` : ""];
  }
  if (hurt) return ["broken", `✕ ${number(hurt)} of ${number(users)}`, "users hurt"];
  const broken = promisesOf(s).find((one) => one.state === "broken");
  if (broken) return ["broken", "✕ BROKEN", `${broken.title}: not so`];
  return ["", `${number(users)} of ${number(users)}`, s.samples.length ? "users kept their state so far" : "users will log in"];
}
// One sentence: what is being done, and what goes on just now; in the end, what it came to.
function sentence(s) {
  if (s.ended) {
    const [head, ...rest] = s.ended.lines, likely = (/likely: .*?(?=\s{3}|$)/.exec(rest.join("\n")) || [])[0];
    const said = head.replace(/^(HELD|BROKEN|COULD NOT TELL)\s+(.* kept their state )?/, "");
    const broken = s.ended.promises.find((one) => said.startsWith(`${one.promise}: `));
    const bare = broken ? said.slice(broken.promise.length + 2) : said; // which may begin with the title already
    const named = titled(s, broken && !bare.startsWith(broken.title) ? `${broken.title}: ${bare}` : bare);
    // What was likely the cause comes before the first user's story, which may be too long for the header.
    return capital([named, likely && capital(likely), rest[0]].filter(Boolean).map((one) => one.trim()).join(". "));
  }
  const now = nowOf(s);
  return capital(s.phase) + (now ? `. Now: ${now}` : "");
}
// A page has room for a promise's title: its name is for files and programs.
function titled(s, text) {
  const [head, also] = text.split("; also ");
  if (!also) return text;
  const title = (name) => (s.ended.promises.find((one) => one.promise === name) || { title: name }).title;
  const others = also.split(", "); // which stand in the list of promises, too
  return `${head}; also: ${others.length > 2 ? `${others.length} more promises` : others.map(title).join(", ")}`;
}
function nowOf(s) {
  const groups = new Map(), by = [];
  const add = (what, who) => groups.set(what, [...(groups.get(what) || []), who]);
  for (const [zone, state] of Object.entries(s.zones)) if (state) add(state, `zone ${zone}`);
  for (const one of s.tiers.values()) if (one.state !== "up") add(one.state, one.label);
  for (const { name, zone } of s.slots || []) {
    if (s.zones[zone]) continue;
    for (const one of occupants(s, name)) {
      if (one.state === "starting") add(`starting ${s.releases[one.release]}`, name);
      else if (one.state === "draining") add(`draining ${s.releases[one.release]}`, name);
      else if (one.state === "standing by") by.push([`${s.releases[one.release]} standing by`, name]);
      else if (one.state !== "serving") add(one.state, name);
    }
  }
  for (const [what, who] of by) if (!groups.size || groups.has(what)) add(what, who); // only where nothing else goes on
  return [...groups].map(([what, who]) => `${who.length > 3 ? plural(who.length, "slot") : listed(who)} ${what}`).join(", ");
}
function promisesOf(s) {
  const final = Object.fromEntries((s.ended ? s.ended.promises : []).map((one) => [one.promise, one]));
  const named = s.ended ? s.ended.promises.map((one) => [one.promise, one.title, one.checks]) : s.plan.promises;
  return named.map(([name, title, checks]) => {
    const [count, broken] = (s.counted && s.counted.promises[name]) || [0, 0], last = final[name];
    const state = last ? last.verdict : broken || s.why[name] ? "broken" : count ? "held" : "";
    const many = last ? last.broken : broken;
    return {
      name, title, state, mark: { held: "✓", broken: "✕", "could not tell": "?" }[state] || "·",
      count: state === "broken" && many ? `${number(many)} broken` : `${number(last ? last.count : count)} ${checks}`,
      why: state === "broken" && s.why[name] ? s.why[name].why : "",
    };
  });
}

