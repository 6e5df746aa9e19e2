"use strict";
// ---- small words ----------------------------------------------------------------------------------------------
const $ = (id) => document.getElementById(id);
const el = (tag, cls, text) => {
  const made = document.createElement(tag);
  if (cls) made.className = cls;
  if (text != null) made.textContent = text;
  return made;
};
const put = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const cls = (node, text) => { if (node.className !== text) node.className = text; };
const number = (count) => count.toLocaleString("en-US").replace(/,/g, "\u2009");
const plural = (count, what) => `${number(count)} ${what}${count === 1 ? "" : "s"}`;
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const clock = (t) => `${Math.floor(t / 60)}:${String(Math.floor(t) % 60).padStart(2, "0")}`;
const listed = (all) => [all.slice(0, -1).join(", "), all.at(-1)].filter(Boolean).join(" and ");
const HELD_UP = /^(freeze|pause|slow|cut)/i; // faults after which the victim is still there
const config = JSON.parse($("config").textContent);

// ---- one pure fold: the live stream, the slider and the report all use it --------------------------------------
const fresh = () => ({
  t: 0, plan: null, releases: [], now: {}, segments: {}, tiers: new Map(), zones: {}, strikes: [], samples: [], users: [],
  hurt: new Map(), losses: [], counted: null, why: {}, serving: 0, phase: "", marks: [], log: [], ended: null,
});

const folds = {
  plan(s, e) {
    s.plan = e;
    s.slots = Object.entries(e.zones).flatMap(([zone, names]) => names.map((name) => ({ name, zone })));
    s.users = Array.from({ length: e.users }, () => ({ name: "", release: -1, compared: -9, retried: -9 }));
  },
  phase(s, e) { s.phase = e.text; s.marks.push({ t: e.t, name: e.name, text: e.text }); },
  release(s, e) { s.releases[e.i] = e.name; },
  replica(s, e) {
    const lane = (s.segments[e.slot] ||= []);
    const last = lane.findLast((one) => one.id === e.id && one.end === null);
    const there = (s.now[e.slot] ||= new Map());
    // Who was killed is shown until another one comes, whether or not the engine still knows the body.
    if (e.state === "gone" && last && last.state === "killed" && there.size === 1) return;
    if (last) last.end = e.t;
    there.delete(e.id);
    if (e.state === "gone") return;
    if (e.state !== "killed") {
      for (const one of lane) if (one.state === "killed" && one.end === null) { one.end = e.t; there.delete(one.id); }
    }
    there.set(e.id, { id: e.id, release: e.release, state: e.state, since: e.t });
    lane.push({ begin: e.t, end: null, id: e.id, release: e.release, state: e.state });
  },
  tier(s, e) { s.tiers.set(e.name, e); },
  zone(s, e) { s.zones[e.zone] = e.state; },
  serving(s, e) { s.serving = e.total; },
  strike(s, e) { s.strikes.push({ ...e, hit: null }); },
  proved(s, e) { const strike = s.strikes.findLast((one) => one.n === e.n); if (strike) strike.hit = e.hit; },
  sample(s, e) {
    s.samples.push(e);
    for (const name of e.names || []) {
      const free = s.users.findIndex((one) => !one.name);
      if (free < 0) s.users.push({ name, release: -1, compared: -9, retried: -9 });
      else s.users[free].name = name;
    }
    for (const [user, release, marks] of e.users || []) {
      const one = s.users[user];
      if (release >= 0) one.release = release;
      if (marks & 1) one.compared = e.t;
      if (marks & 2) one.retried = e.t;
    }
  },
  counted(s, e) { s.counted = e; },
  hurt(s, e) {
    s.why[e.promise] ||= { t: e.t, why: e.why };
    s.losses.push(e.t);
    if (e.user < 0 || s.hurt.has(e.user)) return;
    s.hurt.set(e.user, e.t);
    const last = s.log.at(-1);
    if (last && last.hurt) { last.hurt += 1; last.text = `${plural(last.hurt, "user")} hurt: ${last.first}`; }
    else s.log.push({ t: e.t, text: `a user was hurt: ${e.why}`, tone: "bad", hurt: 1, first: e.why });
  },
  said(s, e) { s.log.push({ t: e.t, text: e.text, tone: e.tone || "" }); },
  verdict(s, e) { s.ended = e; },
};
function fold(s, e) {
  s.t = Math.max(s.t, e.t);
  if (folds[e.k]) folds[e.k](s, e);
  return s;
}

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
    const named = broken ? said.replace(broken.promise, broken.title) : said;
    // What was likely the cause comes before the first user's story, which may be too long for the header.
    return capital([named, likely && capital(likely), rest[0]].filter(Boolean).map((one) => one.trim()).join(". "));
  }
  const now = nowOf(s);
  return capital(s.phase) + (now ? `. Now: ${now}` : "");
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

// ---- painting --------------------------------------------------------------------------------------------------
let S = fresh(), tape = [], at = null, dirty = true, built = null, told = "";
let theme = {}, box = { w: 0, h: 0, rem: 16 };
const NAMES = ["--ink", "--dim", "--line", "--faint", "--panel", "--bad", "--again", "--v0", "--v1", "--v2", "--v3"];
function measure() {
  const style = getComputedStyle(document.documentElement);
  for (const name of NAMES) theme[name.slice(2)] = style.getPropertyValue(name).trim();
  box = { w: $("canvas").clientWidth, h: $("canvas").clientHeight, rem: parseFloat(style.fontSize) };
  dirty = true;
}
const colour = (release) => theme[`v${release % 4}`];
const shade = (release) => `r${release % 4}`;

function build() {
  const plan = S.plan;
  built = plan;
  document.title = `${plan.title} · lab`;
  put($("title"), plan.title);
  $("zones").replaceChildren(...Object.entries(plan.zones).map(([zone, names]) => {
    const made = el("div", "zone"), head = el("h3", "", `zone ${zone}`);
    made.dataset.zone = zone;
    head.append(el("span"));
    if (can("lose-zone")) head.append(button("lose-zone", "lose", { zone }, `lose zone ${zone}`));
    const slots = el("div", "slots");
    slots.append(...names.map((name) => {
      const slot = el("div", "slot empty");
      slot.dataset.slot = name;
      slot.append(el("b", "name", name), el("div", "words"), el("b", "release"), el("div", "beside"));
      slot.children[1].append(el("span"), el("small"));
      if (can("kill") || can("freeze")) {
        const acts = el("div", "acts");
        for (const act of ["kill", "freeze"]) if (can(act)) acts.append(button(act, act, { slot: name }, `${act} ${name}`));
        slot.append(acts);
      }
      return slot;
    }));
    made.append(head, slots);
    return made;
  }));
  $("strip").replaceChildren(...S.slots.map(() => el("i")));
  put($("users-head"), plural(plan.users, "logged-in user"));
}
function paint() {
  if (!S.plan) {
    const last = S.log.at(-1); // why there is no plan, and never will be
    if (last) put($("phase"), capital(last.text));
    return;
  }
  if (built !== S.plan) build();
  put($("time"), clock(S.t));
  // The slider's own number tells nobody when. What is newest has no number here: it would be read out at every painting.
  const moment = at === null ? "the newest moment" : `${S.t.toFixed(1)} s of ${end().toFixed(1)} s`;
  if ($("slider").getAttribute("aria-valuetext") !== moment) $("slider").setAttribute("aria-valuetext", moment);
  const [kind, word, words] = verdictOf(S);
  cls($("verdict"), kind);
  put($("verdict").firstElementChild, word);
  put($("verdict").lastElementChild, words);
  const said = sentence(S);
  put($("phase"), said);
  cls($("phase"), S.ended ? "told" : "");
  if ($("phase").title !== said) $("phase").title = said;
  const rates = lately(S);
  paintCluster(rates);
  paintPromises();
  paintUsers();
  paintLog();
  paintTimeline();
}
function paintCluster(rates) {
  const holders = S.slots.map(({ name }) => occupants(S, name).find((one) => one.state === "serving"));
  const releases = holders.filter(Boolean).map((one) => one.release).sort((a, b) => b - a);
  [...$("strip").children].forEach((bar, i) => cls(bar, releases[i] === undefined ? "" : `r${releases[i] % 4} on`));
  const wanted = S.slots.length;
  const last = S.ended ? "" : `${Math.round(rates.rate)} requests/s`;
  put($("rate"), last);
  put($("quick"), last && rates.p99 ? `half in ${Math.round(rates.p50)} ms, 99 % in ${Math.round(rates.p99)} ms` : "");
  paintTiers($("balancers"), "balancer");
  paintTiers($("stores"), "store");
  put($("serve"), `${holders.filter(Boolean).length} of ${wanted} serving`);
  const sums = S.counted;
  put($("sums"), sums ? `${plural(sums.operations, "action")}, ${number(sums.saved)} saved by a retry, ${number(sums.lost)} lost` : "");
  for (const zone of $("zones").children) {
    let serving = 0;
    for (const slot of zone.querySelectorAll(".slot")) serving += paintSlot(slot, rates.slots[slot.dataset.slot] || 0);
    const turned = S.zones[zone.dataset.zone] || "";
    cls(zone, `zone ${turned && "lost"}`);
    put(zone.querySelector("h3 span"), (turned ? `✕ ${turned} · ` : "") + `${serving} of ${zone.querySelectorAll(".slot").length}`);
  }
}
// Balancers stand above the zones, the store below: what comes in, what answers, where state lives.
function paintTiers(place, role) {
  const all = [...S.tiers.values()].filter((one) => one.role === role).sort((a, b) => a.label.localeCompare(b.label));
  const key = all.map((one) => `${one.label} ${one.state}`).join();
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  const sign = { up: "", frozen: "‖ " };
  place.replaceChildren(...all.flatMap((one) => [
    el("b", `part ${one.state === "up" ? "" : one.state === "down" ? "down" : "held-up"}`,
      (sign[one.state] ?? "✕ ") + one.label + (one.state === "up" ? "" : ` ${one.state}`)), " "]));
  if (all.length === 1) place.append(el("span", "", role === "store" ? "where state lives" : "spreads requests"));
}
function paintSlot(slot, rate) {
  const [main, ...beside] = occupants(S, slot.dataset.slot);
  const [, words, release, others] = slot.children;
  const state = main ? main.state : "empty";
  cls(slot, `slot ${state.replace(/ /g, "-")} ${main ? shade(main.release) : ""}`);
  put(words.firstChild, ({ killed: "✕ ", "cut off": "✕ ", frozen: "‖ " }[state] || "") + state);
  put(words.lastChild, !main ? "" : state === "serving" && !S.ended ? `${main.id} · ${Math.round(rate)}/s` : main.id);
  const name = main ? S.releases[main.release] : "";
  put(release, name);
  cls(release, `release ${name.length > 4 ? "long" : ""}`);
  const key = beside.map((one) => `${one.id} ${one.state}`).join();
  if (others.dataset.key !== key) {
    others.dataset.key = key;
    others.replaceChildren(...beside.map((one) =>
      el("i", `${one.state.replace(/ /g, "-")} ${shade(one.release)}`, `${one.id} ${S.releases[one.release]} ${one.state}`)));
  }
  return state === "serving";
}
function paintPromises() {
  const list = $("promise-list"), all = promisesOf(S), key = JSON.stringify(all);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...all.map((one) => {
    const made = el("div", `promise ${one.state}`);
    made.dataset.promise = one.name;
    made.append(el("span", "mark", one.mark), el("span", "name", one.title), el("span", "count", one.count));
    if (one.why) {
      made.append(el("span", "why", `first: ${one.why}`));
      made.lastChild.title = one.why; // it may be longer than its line
    }
    return made;
  }));
}
function paintUsers() {
  const grid = $("grid");
  while (grid.children.length < S.users.length) grid.append(el("div", "user"));
  while (grid.children.length > S.users.length) grid.lastChild.remove();
  if (grid.dataset.count !== `${S.users.length}`) { grid.dataset.count = S.users.length; columns(); }
  S.users.forEach((one, i) => {
    const square = grid.children[i], hurt = S.hurt.has(i);
    const retried = S.t - one.retried < 2.5 && !S.ended ? " retried" : "";
    cls(square, "user" + (one.release >= 0 ? ` seen ${shade(one.release)}` : "") + (hurt ? " hurt" : retried));
    put(square, hurt ? "✕" : S.t - one.compared < 1.5 || (S.ended && one.compared >= 0) ? "✓" : "");
    if (square.title !== one.name) square.title = one.name;
  });
  const about = `${plural(S.users.length, "user")}, ${number(S.hurt.size)} of them hurt`;
  if (grid.getAttribute("aria-label") !== about) grid.setAttribute("aria-label", about);
  const key = `${S.releases.join()} ${S.ended ? "ended" : ""}`;
  if ($("legend").dataset.key === key) return;
  $("legend").dataset.key = key;
  const marks = S.releases.map((name, i) => [shade(i), "", name]);
  marks.push(["", "✓", S.ended ? "state compared" : "state just compared"], ["retried", "", "needed a retry"], ["hurt", "✕", "hurt"]);
  $("legend").replaceChildren(...marks.map(([mark, sign, text]) => {
    const made = el("span");
    made.append(el("i", mark, sign), text);
    return made;
  }));
}
// As square as the room allows, and preferably without a ragged last row.
function columns() {
  const grid = $("grid"), count = S.users.length, w = grid.clientWidth, h = grid.clientHeight;
  if (!count || !w || !h) return;
  let best = 1, most = -1;
  for (let across = 1; across <= count; across++) {
    const wide = w / across, high = h / Math.ceil(count / across);
    const score = Math.min(wide, high) * (count % across ? 0.93 : 1) * Math.min(1, (2.2 * high) / wide);
    if (score > most) { most = score; best = across; }
  }
  grid.style.gridTemplateColumns = `repeat(${best}, minmax(0, 1fr))`;
  grid.style.fontSize = `${Math.max(9, Math.min(1.5 * box.rem, 0.56 * Math.min(w / best, h / Math.ceil(count / best))))}px`;
  grid.style.gridAutoRows = "minmax(0, 1fr)";
}
function paintLog() {
  const newest = S.log.slice(-60).reverse(), key = `${S.log.length} ${newest.length && newest[0].text}`;
  if ($("log").dataset.key === key) return;
  $("log").dataset.key = key;
  $("log").replaceChildren(...newest.map(({ t, text, tone }) => {
    const made = el("li", tone);
    made.append(el("time", "", `${t.toFixed(1)} s`), el("span", "", (tone === "strike" ? `${HELD_UP.test(text) ? "‖" : "✕"} ` : "") + text));
    return made;
  }));
}

// ---- the timeline: a lane for each slot, then answers by release, then retries and losses -----------------------
let geometry = null;
function spanOf() {
  const last = tape.length ? tape.at(-1) : { t: 0 };
  return last.k === "verdict" ? Math.max(last.t + 0.3, 1) : Math.max(30, Math.ceil((Math.max(last.t, S.t) + 2) / 15) * 15);
}
function paintTimeline() {
  if (!box.w || !box.h) return;
  const canvas = $("canvas"), dpr = window.devicePixelRatio || 1, { w, h, rem } = box;
  if (canvas.width !== Math.round(w * dpr) || canvas.height !== Math.round(h * dpr)) {
    canvas.width = Math.round(w * dpr);
    canvas.height = Math.round(h * dpr);
  }
  const g = canvas.getContext("2d");
  g.setTransform(dpr, 0, 0, dpr, 0, 0);
  g.clearRect(0, 0, w, h);
  g.textBaseline = "middle";
  const span = spanOf(), left = 5.9 * rem, right = w - 0.4 * rem;
  const frame = {
    g, rem, left, right, span, h, x: (t) => left + ((right - left) * t) / span, bottom: h - 1.5 * rem,
    top: (S.strikes.some((one) => !one.slot) ? 2.4 : 1.5) * rem, // what is not in a slot was struck above the lanes
    font: (size, weight = 500) => { g.font = `${weight} ${size * rem}px Inter, system-ui, "DejaVu Sans", sans-serif`; },
  };
  geometry = frame;
  paintAxis(frame);
  const below = paintLanes(frame);
  paintBars(frame, below + 0.7 * rem);
  g.strokeStyle = theme.ink;
  g.lineWidth = 1.5;
  line(g, frame.x(S.t), frame.top - 4, frame.x(S.t), frame.bottom);
}
function line(g, x1, y1, x2, y2) { g.beginPath(); g.moveTo(x1, y1); g.lineTo(x2, y2); g.stroke(); }
// As much of a text as there is room for; nothing rather than a letter or two.
function fitted(g, text, room) {
  if (g.measureText(text).width <= room) return text;
  let end = text.length;
  while (end > 0 && g.measureText(`${text.slice(0, end)}…`).width > room) end -= 1;
  return end < 5 ? "" : `${text.slice(0, end).trimEnd()}…`;
}
function paintAxis({ g, rem, x, span, top, bottom, h, right, left, font }) {
  font(0.9);
  g.fillStyle = theme.dim;
  for (const [i, { t, name, text }] of S.marks.entries()) {
    g.strokeStyle = theme.line;
    g.lineWidth = 1;
    g.setLineDash([3, 3]);
    line(g, x(t), 1.3 * rem, x(t), bottom);
    g.setLineDash([]);
    g.textAlign = "left";
    const room = Math.min(S.marks[i + 1] ? x(S.marks[i + 1].t) : right, right) - x(t) - 0.8 * rem;
    g.fillText(fitted(g, text || name, room) || (g.measureText(name).width <= room ? name : ""), x(t) + 3, 0.68 * rem);
  }
  g.textAlign = "center";
  const room = (right - left) / (3.6 * rem), every = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800].find((one) => span / one <= room) || 3600;
  for (let t = 0; t <= span; t += every) g.fillText(span > 180 ? clock(t) : `${t} s`, Math.min(right - rem, x(t)), h - 0.7 * rem);
}
function paintLanes({ g, rem, x, top, bottom, left, font }) {
  const zones = Object.keys(S.plan.zones).length, gap = 0.4 * rem;
  const high = Math.min(2.1 * rem, ((bottom - top) * 0.6 - gap * (zones - 1)) / Math.max(1, S.slots.length));
  let y = top, zone = null;
  const places = {};
  for (const slot of S.slots) {
    if (zone !== null && slot.zone !== zone) y += gap;
    zone = slot.zone;
    places[slot.name] = y;
    g.fillStyle = theme.dim;
    g.textAlign = "right";
    font(Math.min(0.92, (high / rem) * 0.95), 600);
    // Too many lanes for a name at each: their zone's name is enough.
    if (high >= 0.72 * rem) g.fillText(slot.name, left - 0.5 * rem, y + high / 2);
    else if (slot.name === S.plan.zones[slot.zone][0]) { font(0.92, 600); g.fillText(`zone ${slot.zone}`, left - 0.5 * rem, y + (high * S.plan.zones[slot.zone].length) / 2); }
    // Whoever is on the way stands below whoever has the slot.
    const lane = S.segments[slot.name] || [];
    for (const one of lane) paintSegment(g, one, x, y + 1, high - 2, lane);
    y += high;
  }
  for (const strike of S.strikes) {
    const there = places[strike.slot];
    paintStrike(g, strike, x(strike.t), there === undefined ? top - 0.6 * rem : there + high / 2, Math.min(high * 0.4, 0.55 * rem));
  }
  return y;
}
function paintSegment(g, one, x, y, h, lane) {
  const from = x(one.begin), to = x(one.end ?? S.t), w = Math.max(1, to - from);
  g.fillStyle = g.strokeStyle = colour(one.release);
  if (one.state === "serving") { g.fillRect(from, y, w, h); return; }
  const held = lane.some((other) => other.state === "serving" && other.begin < (one.end ?? S.t) && (other.end ?? S.t) > one.begin);
  const part = held ? h * 0.36 : h, low = y + h - part;
  if (held) { g.fillStyle = theme.panel; g.fillRect(from, low - 1, w, part + 1); }
  if (one.state === "killed") {
    g.strokeStyle = theme.ink;
    g.lineWidth = 2;
    line(g, from, y + h / 2, to, y + h / 2);
    return;
  }
  g.save();
  g.beginPath();
  g.rect(from, low, w, part);
  g.clip();
  g.lineWidth = 2;
  if (one.state === "standing by") g.strokeRect(from + 1, low + 1, Math.max(1, w - 2), part - 2);
  else if (one.state === "starting") { g.setLineDash([3, 2]); g.strokeRect(from + 1, low + 1, Math.max(1, w - 2), part - 2); }
  else {
    g.fillStyle = colour(one.release);
    g.globalAlpha = 0.35;
    g.fillRect(from, low, w, part);
    g.globalAlpha = 1;
    const isHeld = one.state === "frozen" || one.state === "cut off", step = isHeld ? 5 : 7, lean = isHeld ? 0 : part;
    if (isHeld) g.strokeStyle = theme.ink;
    for (let at = from - part; at < to; at += step) line(g, at, low + part, at + lean, low);
  }
  g.restore();
}
function paintStrike(g, strike, x, y, r) {
  g.fillStyle = theme.panel;
  g.beginPath();
  g.arc(x, y, r + 2.5, 0, 7);
  g.fill();
  g.strokeStyle = strike.hit === false ? theme.dim : theme.ink;
  g.lineWidth = Math.max(2.2, r * 0.42);
  const a = r * 0.8;
  if (HELD_UP.test(strike.fault)) { line(g, x - a / 2, y - a, x - a / 2, y + a); line(g, x + a / 2, y - a, x + a / 2, y + a); }
  else { line(g, x - a, y - a, x + a, y + a); line(g, x + a, y - a, x - a, y + a); }
}
// The next number that people like to read.
function round(most) {
  const size = 10 ** Math.floor(Math.log10(most));
  return [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((one) => one * size >= most) * size;
}
function paintBars(frame, from) {
  const { g, rem, x, left, right, bottom, font } = frame, every = S.plan.every;
  const low = 1.5 * rem, base = bottom - low - 0.35 * rem, tall = base - from;
  const size = Math.max(every, Math.ceil(1 / every) * every, Math.ceil(frame.span / 150 / every) * every), bins = [];
  for (const one of S.samples) {
    const bin = (bins[Math.floor((one.t - 1e-6) / size)] ||= { by: [], retries: 0, lost: 0, end: 0 });
    (one.by || []).forEach((count, i) => { bin.by[i] = (bin.by[i] || 0) + count; });
    bin.retries += one.retries || 0;
    bin.lost += one.lost || 0;
    bin.end = one.t;
  }
  const hurt = [];
  for (const t of S.losses) { const n = Math.floor(t / size); hurt[n] = (hurt[n] || 0) + 1; }
  const rate = (bin) => bin.by.reduce((sum, count) => sum + (count || 0), 0) / size;
  const most = round(Math.max(10, ...bins.filter(Boolean).map(rate)));
  font(0.92, 600);
  g.fillStyle = theme.dim;
  g.textAlign = "right";
  g.fillText("requests/s", left - 0.5 * rem, from + tall * 0.62);
  font(0.8);
  g.fillText(number(most), left - 0.5 * rem, from + 0.35 * rem);
  g.strokeStyle = theme.line;
  g.lineWidth = 1;
  line(g, left, Math.round(from) + 0.5, right, Math.round(from) + 0.5);
  font(0.92, 600);
  const middle = base + 0.35 * rem + low / 2, none = !hurt.length && !bins.some((bin) => bin && bin.retries);
  g.fillText(hurt.length ? "users hurt" : "retries", left - 0.5 * rem, middle);
  if (none && S.samples.length) { font(0.9); g.textAlign = "left"; g.fillText(S.ended ? "none" : "none so far", x(S.samples[0].t), middle); }
  bins.forEach((bin, n) => {
    const a = x(n * size), b = x(Math.min((n + 1) * size, Math.max(S.t, n * size + every)));
    let sum = 0;
    for (let i = S.releases.length - 1; i >= 0; i--) {
      const high = (tall * (bin.by[i] || 0)) / size / most;
      g.fillStyle = colour(i);
      g.fillRect(a, base - sum - high, b - a + 0.5, high);
      sum += high;
    }
    if (bin.retries) { g.fillStyle = theme.again; const high = Math.min(low, 3 + (low * bin.retries) / 30); g.fillRect(a + 1, bottom - high, Math.max(2, b - a - 2), high); }
  });
  g.fillStyle = theme.bad;
  hurt.forEach((count, n) => { const high = Math.min(low, 4 + (low * count) / 10); g.fillRect(x(n * size) + 1, bottom - high, Math.max(3, x((n + 1) * size) - x(n * size) - 2), high); });
  if (S.losses.length) { g.strokeStyle = theme.bad; g.lineWidth = 2; line(g, x(S.losses[0]), frame.top - 4, x(S.losses[0]), bottom); }
  g.strokeStyle = theme.line;
  g.lineWidth = 1;
  line(g, left, bottom + 0.5, right, bottom + 0.5);
}

// ---- moving in time ---------------------------------------------------------------------------------------------
// `at` is the moment that is looked at, or null for whatever is newest.
function go(t) {
  at = t;
  S = fresh();
  for (const e of tape) { if (t !== null && e.t > t) break; fold(S, e); }
  built = built && S.plan === built ? built : null;
  if (t !== null) S.t = Math.max(S.t, t);
  dirty = true;
  state();
}
let connection = "";
// Where the slider stands is where the page stands.
function slide() { if (document.activeElement !== $("slider") || at === null) $("slider").value = at === null ? 1000 : (1000 * at) / end(); }
function state(text) {
  if (text !== undefined) connection = text;
  const shown = at !== null ? "looking back" : connection;
  put($("connection"), shown);
  cls($("connection"), connection === "reconnecting" ? "off" : "");
}
const end = () => Math.max(tape.length ? tape.at(-1).t : 0, 0.001);
$("slider").addEventListener("input", (event) => {
  const part = event.target.value / 1000;
  go(part >= 1 ? null : end() * part);
});
function take(e) {
  tape.push(e);
  if (at === null) { fold(S, e); dirty = true; }
}
$("canvas").addEventListener("mousemove", (event) => {
  if (!geometry || !S.plan) return;
  const place = $("canvas").getBoundingClientRect(), { left, right, span } = geometry;
  const t = ((event.clientX - place.left - left) / (right - left)) * span;
  const near = S.samples.filter((one) => Math.abs(one.t - t) <= Math.max(0.5, S.plan.every));
  $("tip").hidden = !near.length || t < 0;
  if ($("tip").hidden) return;
  const seconds = near.length * S.plan.every, sum = (pick) => near.reduce((all, one) => all + (pick(one) || 0), 0);
  const lines = S.releases.map((name, i) => `${name}  ${Math.round(sum((one) => (one.by || [])[i]) / seconds)} requests/s`);
  lines.push(`${sum((one) => one.retries)} retries, ${sum((one) => one.lost)} lost`, `${sum((one) => one.repeated)} repeated by the balancer`);
  put($("tip"), `${t.toFixed(1)} s\n${lines.join("\n")}`);
  $("tip").style.left = `${Math.min(innerWidth - 220, event.clientX + 14)}px`;
  $("tip").style.top = `${Math.max(8, event.clientY - 110)}px`;
});
$("canvas").addEventListener("mouseleave", () => { $("tip").hidden = true; });
function turn() {
  const data = document.documentElement.dataset;
  if (data.theme === "dark") delete data.theme; else data.theme = "dark";
  measure();
}
addEventListener("keydown", (event) => {
  const on = event.target.tagName;
  if (event.ctrlKey || event.metaKey || event.altKey || /^(BUTTON|A)$/.test(on)) return;
  if (event.key === "t") turn();
  if (event.key === " ") { go(at === null ? S.t : null); slide(); event.preventDefault(); }
  const step = on !== "INPUT" && { ArrowLeft: -1, ArrowRight: 1 }[event.key]; // the slider has its own steps
  if (step) { const to = (at ?? S.t) + step; go(to >= end() ? null : Math.max(0, to)); slide(); event.preventDefault(); }
});

// ---- acting: only where the lab was asked for it ---------------------------------------------------------------
function can(name) { return !!config.control && config.control.acts.includes(name); }
function button(act, label, what, about) {
  const made = el("button", "", label);
  made.type = "button";
  made.dataset.act = act;
  if (about) made.setAttribute("aria-label", about);
  made.addEventListener("click", () => ask(made, act, what));
  return made;
}
async function ask(made, act, what) {
  made.disabled = true;
  try {
    const answer = await fetch(`/control/${act}`, {
      method: "POST", headers: { "Content-Type": "application/json", "X-Lab-Token": config.control.token }, body: JSON.stringify(what),
    });
    put($("told"), (await answer.json()).said);
  } catch (error) {
    put($("told"), `nobody answers: ${error.message}`);
  } finally {
    made.disabled = false;
  }
}
function offer() {
  if (!config.control) return;
  $("controls").hidden = false;
  cls($("cluster"), "panel");
  const row = [["kill", "Kill one"], ["freeze", "Freeze one for 3 s"]].filter(([act]) => can(act)).map(([act, label]) => button(act, label, {}));
  for (const image of can("roll") ? config.control.images : []) row.push(button("roll", `Roll to ${image}`, { image }));
  if (can("reverse")) row.push(button("reverse", "Reverse", {}));
  $("told").before(...row);
}

// ---- begin -------------------------------------------------------------------------------------------------------
const wish = new URLSearchParams(location.search).get("theme");
if ((wish || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark") document.documentElement.dataset.theme = "dark";
$("board").hidden = false;
offer();
new ResizeObserver(measure).observe($("canvas"));
new ResizeObserver(columns).observe($("grid"));
addEventListener("resize", measure);
measure();
let painted = 0;
// At most five paintings a second: the page and the lab share the machine.
requestAnimationFrame(function loop(now) {
  if (dirty && now - painted >= 200) {
    painted = now;
    dirty = false;
    paint();
    document.body.dataset.t = S.t.toFixed(2);
  }
  requestAnimationFrame(loop);
});
if ($("tape")) {
  state("recorded");
  JSON.parse($("tape").textContent).forEach(take);
  document.body.dataset.end = "1";
} else {
  const source = new EventSource("/events");
  source.onopen = () => state("live");
  source.onmessage = (message) => take(JSON.parse(message.data));
  source.onerror = () => state("reconnecting");
  source.addEventListener("end", () => {
    source.close();
    state(S.ended || at !== null ? "finished" : "ended");
    document.body.dataset.end = "1";
  });
}
