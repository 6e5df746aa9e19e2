// ---- asking: the requests of a user, a moment, a slot or a kind, one by one --------------------------------------
const stored = $("requests-data") && JSON.parse($("requests-data").textContent); // a report carries some; a served page asks
const SHOWN = 150;
let scope = null, found = null, picked = null, more = 0, asker = null, question = 0;
const word = (table, i) => (i < 0 ? "" : table.words[i]);
const OUTCOME = ["ok", "refused", "nobody knows"];
function read(table) {
  return table.rows.map(([begin, took, user, device, kind, key, outcome, answer, tries, witness]) => {
    const all = (tries || []).map(([after, ms, result, replica, release, edge]) => ({
      after, ms, result: word(table, result), replica: word(table, replica), release: word(table, release), edge: word(table, edge),
    }));
    const last = all.at(-1) || { result: "", replica: "", release: "" };
    const one = { begin, took, user: word(table, user), device: word(table, device), kind: word(table, kind), key: word(table, key), outcome, answer: word(table, answer), tries: all, last, witness };
    one.bad = outcome > 0 || /^(5|unsent|cut|timeout|garbled)/.test(last.result);
    one.text = [one.user, one.device, one.kind, one.key, one.answer, OUTCOME[outcome], ...all.flatMap((t) => [t.result, t.replica, t.release, t.edge])].join(" ").toLowerCase();
    return one;
  });
}
const inSlot = (one, slot) => one.tries.some((t) => t.replica.replace(/-[^-]*$/, "") === slot || t.edge.split(" ").includes(slot));
let local = null;
async function requestsOf(what) {
  const around = S.plan ? Math.max(1, S.plan.every) : 1;
  const since = what.what === "moment" ? what.t - around : undefined, until = what.what === "moment" ? what.t + around : undefined;
  if (stored) {
    local ||= read(stored);
    const rows = local.filter((one) => (!what.user || one.user === what.user) && (!what.kind || one.kind === what.kind) && (!what.slot || inSlot(one, what.slot)) &&
      (since === undefined || (one.begin + one.took / 1000 >= since && one.begin <= until)));
    return { rows, note: stored.total > local.length ? `this file holds ${number(local.length)} of ${plural(stored.total, "request")}: all that failed or prove something, as far as there is room, and an even part of the others; lab ui ${config.run || "RUN"} shows all` : "" };
  }
  const asked = new URLSearchParams(Object.entries({ user: what.user, kind: what.kind, slot: what.slot, since, until }).filter(([, value]) => value !== undefined));
  const answer = await fetch(`/requests?${asked}`), table = await answer.json();
  if (!answer.ok) throw new Error(table.said);
  return { rows: read(table), note: table.total > table.rows.length ? `${number(table.rows.length)} of ${plural(table.total, "request")}: those that failed, and an even part of the others` : "" };
}
function titleOf(what) {
  return { user: what.user, moment: `${(what.t || 0).toFixed(1)} s`, slot: `slot ${what.slot}`, kind: what.kind, all: "all requests" }[what.what];
}
async function inspect(what) {
  const mine = ++question;
  if ($("asked").hidden) asker = document.activeElement;
  scope = what;
  found = picked = null;
  more = 0;
  put($("asked-title"), `Requests: ${titleOf(what)}`);
  put($("asked-note"), "looking…");
  $("asked").hidden = false;
  document.body.classList.add("asking");
  const i = what.user ? known.indexOf(what.user) : -1;
  const broken = what.user ? S.findings.filter((one) => one.user === i) : [];
  $("asked-findings").replaceChildren(...broken.slice(0, 5).map((one) => {
    const made = el("li");
    made.append(pick("line bad", `${one.t.toFixed(1)} s  ✕ ${one.why}`, () => { go(one.t); scope.t = one.t; more = 0; list(); }));
    return made;
  }));
  $("requests").replaceChildren();
  $("asked-title").focus();
  try {
    const answer = await requestsOf(what);
    if (mine !== question) return;
    found = answer.rows;
    put($("asked-note"), answer.note);
    list();
  } catch (error) {
    if (mine === question) put($("asked-note"), `can't be shown: ${error.message}`);
  }
}
// A line of the log, a promise or a finding leads to its moment, and to its user's requests where it is a user's.
function reveal({ t, user }) {
  go(t);
  const name = user >= 0 ? known[user] : "";
  inspect(name ? { what: "user", user: name, t } : { what: "moment", t });
}
function leave() {
  $("asked").hidden = true;
  document.body.classList.remove("asking");
  scope = found = picked = null;
  dirty = true;
  if (asker && asker.isConnected) asker.focus();
}
function sifted() {
  const words = $("sift").value.toLowerCase().split(/\s+/).filter(Boolean), only = $("only-bad").checked;
  return found.filter((one) => (!only || one.bad || one.tries.length > 1) && words.every((text) => one.text.includes(text)));
}
function list() {
  if (!found) return;
  const rows = sifted(), near = scope.t === undefined ? 0 : rows.findIndex((one) => one.begin + one.took / 1000 >= scope.t);
  const whole = rows.length <= 2 * SHOWN;
  const first = whole ? 0 : Math.max(0, (near < 0 ? rows.length : near) - 25 - more * SHOWN), last = whole ? rows.length : Math.min(rows.length, (near < 0 ? rows.length : Math.max(near, 0)) + (more + 1) * SHOWN);
  put($("asked-count"), `${number(last - first)} of ${number(rows.length)} shown`);
  $("more").hidden = first === 0 && last === rows.length;
  const items = rows.slice(first, last).map((one) => {
    const made = el("li"), button = pick(`request ${one.bad ? "failed" : one.tries.length > 1 ? "again" : ""}`, "", () => choose(one));
    const by = one.last.replica ? `${one.last.replica} ${one.last.release}` : "no replica";
    button.append(el("time", "", `${one.begin.toFixed(2)} s`),
      el("span", "what", `${one.witness ? "◆ " : ""}${scope.user ? "" : `${one.user}: `}${one.kind}${one.answer ? ` → ${one.answer}` : ""}`),
      el("span", "by", `${one.last.result} ${one.outcome ? `${OUTCOME[one.outcome]} ` : ""}· ${by} · ${one.tries.length > 1 ? `${one.tries.length} tries · ` : ""}${one.took < 10 ? one.took.toFixed(1) : Math.round(one.took)} ms`));
    made.append(button);
    if (one === picked) {
      button.setAttribute("aria-current", "true");
      const details = el("div", "tries");
      details.append(el("p", "", `${one.device}${one.key ? `, ${one.key}` : ""}`), ...one.tries.map((t, n) => el("p", "",
        `try ${n + 1}, after ${t.after} ms: ${t.result}${t.replica ? ` from ${t.replica} (${t.release})` : ""}${t.edge ? `, by way of ${t.edge}` : ""}, ${t.ms} ms`)));
      if (scope.what !== "user") details.append(pick("", `all of ${one.user}`, () => inspect({ what: "user", user: one.user, t: one.begin })));
      made.append(details);
    }
    return made;
  });
  if (!items.length) items.push(el("li", "dim", "none"));
  const stood = $("requests").scrollTop;
  $("requests").replaceChildren(...items);
  $("requests").scrollTop = stood;
  const here = $("requests").children[Math.max(0, (near < 0 ? rows.length : near) - first)];
  if (here && !picked && near > 0 && !more) here.scrollIntoView({ block: "center" });
  const current = $("requests").querySelector("[aria-current]");
  if (current) current.focus({ preventScroll: true });
}
function choose(one) {
  picked = picked === one ? null : one;
  go(Math.min(end(), one.begin + one.took / 1000));
  list();
}
$("sift").addEventListener("input", () => { more = 0; list(); });
$("only-bad").addEventListener("change", () => { more = 0; list(); });
$("more").addEventListener("click", () => { more += 1; list(); });
$("leave").addEventListener("click", leave);
$("copy-requests").addEventListener("click", () => {
  if (!found) return;
  copy($("copy-requests"), sifted().map((one) => [one.begin, one.user, one.kind, one.key, OUTCOME[one.outcome], one.last.result, one.last.replica, one.last.release, one.tries.length, one.took, one.answer].join("\t")).join("\n"));
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !$("asked").hidden) leave();
  else if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) { event.preventDefault(); search(); }
});
async function search() {
  if ($("asked").hidden) await inspect({ what: "all", t: S.t });
  $("sift").focus();
}
$("search").addEventListener("click", search);
$("sift-log").addEventListener("input", () => { dirty = true; });

// ---- copying ------------------------------------------------------------------------------------------------------
async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // a file that was opened from disk may not: then as it was done before
    const area = el("textarea", "", text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const said = button.textContent;
  if (said === "copied") return;
  put(button, "copied");
  setTimeout(() => put(button, said), 1500);
}

