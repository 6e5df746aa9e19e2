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
  hurt: new Map(), findings: [], losses: [], counted: null, kinds: {}, why: {}, serving: 0, phase: "", seen: new Map(), marks: [], log: [], ended: null,
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
  kinds(s, e) { s.kinds = e.kinds; },
  hurt(s, e) {
    s.why[e.promise] ||= { t: e.t, why: e.why, user: e.user };
    s.findings.push(e);
    s.losses.push(e.t);
    if (e.user < 0 || s.hurt.has(e.user)) return;
    s.hurt.set(e.user, e.t);
    const last = s.log.at(-1);
    if (last && last.hurt) { last.hurt += 1; last.text = `${plural(last.hurt, "user")} hurt: ${last.first}`; }
    else s.log.push({ t: e.t, text: `a user was hurt: ${e.why}`, tone: "bad", hurt: 1, first: e.why, user: e.user });
  },
  seen(s, e) { if (e.state === "ended") s.seen.delete(e.who); else s.seen.set(e.who, e); },
  said(s, e) { s.log.push({ t: e.t, text: e.text, tone: e.tone || "" }); },
  verdict(s, e) { s.ended = e; },
};
function fold(s, e) {
  s.t = Math.max(s.t, e.t);
  if (folds[e.k]) folds[e.k](s, e);
  return s;
}

