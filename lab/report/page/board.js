// ---- painting --------------------------------------------------------------------------------------------------
let S = fresh(), tape = [], at = null, dirty = true, built = null;
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
      slot.append(pick("name", name, () => inspect({ what: "slot", slot: name, t: S.t }), `requests of slot ${name}`), el("div", "words"), el("b", "release"), el("div", "beside"));
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
  if (isWatched()) {
    put($("cluster").querySelector("h2"), "Deployment");
    put($("cluster").querySelector(".key"), "somebody else's: what goes on inside is known only as far as it was observed");
    $("cluster").setAttribute("aria-label", "Deployment");
    $("zones").replaceChildren(el("ul", "observed"));
  }
  $("strip").replaceChildren(...S.slots.map(() => el("i")));
  put($("users-head"), plural(plan.users, "logged-in user"));
}
// Of a deployment that is not the lab's nobody knows slots or zones.
const isWatched = () => !S.slots.length;
function paintObserved() {
  const all = [...S.seen.values()].sort((a, b) => a.who.localeCompare(b.who));
  const lines = all.map((one) => `${one.who}${one.release ? ` (${one.release})` : ""}: ${one.state}, by ${one.source}`);
  const list = $("zones").firstElementChild, key = lines.join();
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...(lines.length ? lines : ["who serves is not known"]).map((line) => el("li", "", line)));
}
function paint() {
  if (!S.plan) {
    const last = S.log.at(-1); // why there is no plan, and never will be
    if (last) put($("phase"), capital(last.text));
    return;
  }
  if (built !== S.plan) build();
  document.body.classList.toggle("unused", !S.plan.users); // a cluster that stands: nothing is said of users
  put($("time"), `${clock(S.t)}.${Math.floor((S.t * 10) % 10)}`);
  // The slider's own number tells nobody when. What is newest has no number here: it would be read out at every painting.
  const moment = at === null ? "the newest moment" : `${S.t.toFixed(1)} s of ${end().toFixed(1)} s`;
  if ($("slider").getAttribute("aria-valuetext") !== moment) $("slider").setAttribute("aria-valuetext", moment);
  const [kind, word, words] = verdictOf(S);
  cls($("verdict"), kind);
  put($("verdict").firstElementChild, word);
  put($("verdict").lastElementChild, words);
  paintTab(kind, word);
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
  if (view === "requests") paintKinds();
}
// The tab says how it stands, for whoever has gone on to another one: by a word and by a shape.
function paintTab(kind, word) {
  const title = `${kind ? word : `… ${word}`} · ${S.plan.title} · lab`;
  if (document.title !== title) document.title = title;
  const sign = { held: "✓", broken: "✕", unknown: "?" }[kind] || "…", back = { held: "#131924", broken: "#c8152d" }[kind] || "#fff";
  const ink = back === "#fff" ? "#131924" : "#fff";
  const icon = `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect x="1" y="1" width="30" height="30" rx="7" fill="${back}" stroke="#131924" stroke-width="2"/><text x="16" y="24" font-size="22" font-weight="700" font-family="sans-serif" text-anchor="middle" fill="${ink}">${sign}</text></svg>`)}`;
  if ($("icon").getAttribute("href") !== icon) $("icon").setAttribute("href", icon);
}
function paintCluster(rates) {
  arm();
  const holders = S.slots.map(({ name }) => occupants(S, name).find((one) => one.state === "serving"));
  const releases = holders.filter(Boolean).map((one) => one.release).sort((a, b) => b - a);
  [...$("strip").children].forEach((bar, i) => cls(bar, releases[i] === undefined ? "" : `r${releases[i] % 4} on`));
  const wanted = S.slots.length;
  const last = S.ended ? "" : `${Math.round(rates.rate)} requests/s`;
  put($("rate"), last);
  put($("quick"), last && rates.p99 ? `p50 ${Math.round(rates.p50)} ms, p99 ${Math.round(rates.p99)} ms` : "");
  paintTiers($("balancers"), "balancer");
  paintTiers($("stores"), "store");
  put($("serve"), wanted ? `${holders.filter(Boolean).length} of ${wanted} serving` : "");
  const sums = S.counted;
  put($("sums"), sums ? `${plural(sums.operations, "action")}, ${number(sums.saved)} saved by a retry, ${number(sums.lost)} lost` : "");
  if (isWatched()) { paintObserved(); return; }
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
  put(words.lastChild, !main ? "" : state === "serving" && !S.ended && S.plan.users ? `${main.id} · ${Math.round(rate)}/s` : main.id);
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
    const made = el("div", `promise ${one.state}`), first = S.why[one.name];
    made.dataset.promise = one.name;
    made.append(el("span", "mark", one.mark), one.state === "broken" && first ? pick("name", one.title, () => reveal(first)) : el("span", "name", one.title), el("span", "count", one.count));
    if (one.why) {
      made.append(el("span", "why", `first: ${one.why}`));
      made.lastChild.title = one.why; // it may be longer than its line
    }
    return made;
  }));
}
function paintUsers() {
  const grid = $("grid");
  while (grid.children.length < S.users.length) grid.append(square(grid.children.length));
  while (grid.children.length > S.users.length) grid.lastChild.remove();
  if (grid.dataset.count !== `${S.users.length}`) { grid.dataset.count = S.users.length; cls(grid, S.users.length > 300 ? "many" : ""); columns(); }
  S.users.forEach((one, i) => {
    const square = grid.children[i], hurt = S.hurt.has(i);
    const retried = S.t - one.retried < 2.5 && !S.ended ? " retried" : "";
    cls(square, "user" + (one.release >= 0 ? ` seen ${shade(one.release)}` : "") + (hurt ? " hurt" : retried));
    put(square, hurt ? "✕" : S.t - one.compared < 1.5 || (S.ended && one.compared >= 0) ? "✓" : "");
    const about = `${known[i] || `user ${i + 1}`}${hurt ? ", hurt" : ""}`;
    if (square.title !== about) { square.title = about; square.setAttribute("aria-label", about); }
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
// Squares are many: a plain element each, which costs a fraction of a button's layout, and one listener for all.
function square(i) {
  const made = el("div", "user");
  made.setAttribute("role", "button");
  made.tabIndex = i ? -1 : 0;
  return made;
}
function askUser(event) {
  const one = event.target.closest(".user"), i = [...$("grid").children].indexOf(one);
  if (!one || (event.type === "keydown" && event.key !== "Enter" && event.key !== " ")) return;
  event.preventDefault();
  event.stopPropagation();
  if (S.hurt.has(i)) reveal({ t: S.hurt.get(i), user: i });
  else if (known[i]) inspect({ what: "user", user: known[i], t: S.t });
}
// Something that one can ask: it looks as what it is, and is a button for whoever has no mouse.
function pick(look, text, does, about) {
  const made = el("button", look, text);
  made.type = "button";
  if (about) made.setAttribute("aria-label", about);
  made.addEventListener("click", does);
  return made;
}
// Arrows go from one to the next within a group; tab leaves it.
function rove(box, what) {
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key], from = event.target.closest(what);
    if (!step || !from) return;
    event.preventDefault();
    const all = [...box.querySelectorAll(what)], to = all[all.indexOf(from) + step];
    if (!to) return;
    from.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  });
}
function paintLog() {
  const words = $("sift-log").value.trim().toLowerCase(), fits = (one) => !words || one.text.toLowerCase().includes(words);
  const newest = (words ? S.log.filter(fits) : S.log).slice(-60).reverse(), key = `${S.log.length} ${words} ${newest.length && newest[0].text}`;
  if ($("log").dataset.key === key) return;
  $("log").dataset.key = key;
  const focused = $("log").contains(document.activeElement);
  $("log").replaceChildren(...newest.map((one, i) => {
    const { t, text, tone } = one, made = el("li", tone), line = pick("line", "", () => reveal(one));
    line.tabIndex = i ? -1 : 0;
    line.append(el("time", "", `${t.toFixed(1)} s`), el("span", "", (tone === "strike" ? `${HELD_UP.test(text) ? "‖" : "✕"} ` : "") + text));
    made.append(line);
    return made;
  }));
  if (focused && $("log").firstChild) $("log").firstChild.firstChild.focus();
}

