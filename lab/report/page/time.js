// ---- moving in time ---------------------------------------------------------------------------------------------
// `at` is the moment that is looked at, or null for whatever is newest.
let next = 0; // how many events of the tape are in S
function go(t) {
  // On from where the page stands; back is from the beginning again.
  if (t !== null && (at === null || t < at)) { S = fresh(); next = 0; }
  at = t;
  while (next < tape.length && (t === null || tape[next].t <= t)) fold(S, tape[next++]);
  built = built && S.plan === built ? built : null;
  if (t !== null) S.t = Math.max(S.t, t);
  dirty = true;
  $("slider").value = S.t;
  state();
}
let connection = "";
const THUMB = 20; // pixels: the slider's thumb, as the style has it
// The slider has the timeline's axis, and its thumb stands under the moment that is drawn.
function slide() {
  const slider = $("slider"), { left, right, span } = geometry;
  slider.max = span;
  slider.style.marginLeft = `${left - THUMB / 2}px`;
  slider.style.width = `${right - left + THUMB}px`;
  slider.value = S.t;
}
function state(text) {
  if (text !== undefined) connection = text;
  const shown = at !== null ? "looking back" : connection;
  put($("connection"), shown);
  arm();
  $("hold").setAttribute("aria-pressed", String(at !== null));
  cls($("connection"), connection === "reconnecting" ? "off" : "");
}
const end = () => Math.max(tape.length ? tape.at(-1).t : 0, 0.001);
$("slider").addEventListener("input", (event) => {
  const to = Number(event.target.value);
  stop();
  go(to >= end() ? null : to);
});
const known = []; // every user's name, whether or not they had come at the moment that is looked at
function take(e) {
  tape.push(e);
  if (e.k === "sample") known.push(...(e.names || []));
  if (at === null) { fold(S, e); next += 1; dirty = true; }
}
$("canvas").addEventListener("mousemove", (event) => {
  if (!geometry || !S.plan) return;
  const place = $("canvas").getBoundingClientRect(), { left, right, span } = geometry;
  const t = ((event.clientX - place.left - left) / (right - left)) * span;
  const near = S.samples.filter((one) => Math.abs(one.t - t) <= Math.max(0.5, S.plan.every));
  $("tip").hidden = !near.length || t < 0 || view !== "replicas";
  if ($("tip").hidden) return;
  const seconds = near.length * S.plan.every, sum = (pick) => near.reduce((all, one) => all + (pick(one) || 0), 0);
  const lines = S.releases.map((name, i) => `${name}  ${Math.round(sum((one) => (one.by || [])[i]) / seconds)} requests/s`);
  lines.push(`${sum((one) => one.retries)} retries, ${sum((one) => one.lost)} lost`, `${sum((one) => one.repeated)} repeated by the balancer`);
  put($("tip"), `${t.toFixed(1)} s\n${lines.join("\n")}`);
  $("tip").style.left = `${Math.min(innerWidth - 220, event.clientX + 14)}px`;
  $("tip").style.top = `${Math.max(8, event.clientY - 110)}px`;
});
$("canvas").addEventListener("click", (event) => {
  if (!geometry || !S.plan) return;
  const { left, right, span } = geometry, t = ((event.clientX - $("canvas").getBoundingClientRect().left - left) / (right - left)) * span;
  if (t < 0) return;
  go(Math.min(t, end()));
  inspect({ what: "moment", t: S.t });
});
$("canvas").addEventListener("mouseleave", () => { $("tip").hidden = true; });
const THEME = "lab-theme"; // where a browser keeps what was chosen
function wear(theme) {
  if (theme === "dark") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}
// A browser may keep nothing for a file or for anybody: then the choice lasts as long as the page.
function kept() { try { return localStorage.getItem(THEME); } catch { return null; } }
function keep(theme) { try { localStorage.setItem(THEME, theme); } catch { /* see above */ } }
function turn() {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  wear(theme);
  keep(theme);
  measure();
}
// Playing: the moment goes on by itself, at a speed, until it is the newest one.
let playing = 0;
function play() {
  if (playing) { stop(); return; }
  if (at === null) go(0);
  let before = performance.now();
  const turn = (now) => {
    if (!playing) return;
    const t = at + ((now - before) / 1000) * Number($("speed").value);
    before = now;
    if (at === null || t >= end()) { go(null); stop(); return; }
    go(t);
    playing = requestAnimationFrame(turn);
  };
  playing = requestAnimationFrame(turn);
  paintPlay();
}
function stop() { cancelAnimationFrame(playing); playing = 0; paintPlay(); }
function paintPlay() { put($("play"), playing ? "❚❚" : "▶"); $("play").setAttribute("aria-label", playing ? "pause" : "play"); }
// What a key does; a button that bears the key's name does the same, for whoever has no keys.
function press(key) {
  const to = (step) => { stop(); const t = (at ?? S.t) + step; go(t >= end() ? null : Math.max(0, t)); };
  const does = { t: turn, p: play, " ": () => { stop(); go(at === null ? S.t : null); }, ArrowLeft: () => to(-1), ArrowRight: () => to(1) }[key];
  if (does) does();
  return !!does;
}
for (const one of document.querySelectorAll("[data-key]")) one.addEventListener("click", () => press(one.dataset.key));
addEventListener("keydown", (event) => {
  const on = event.target.tagName;
  if (event.ctrlKey || event.metaKey || event.altKey || /^(BUTTON|A|SELECT|TEXTAREA)$/.test(on) || event.defaultPrevented) return;
  // The slider has its own steps; whoever types a word means the word.
  if (on === "INPUT" && (event.target.type !== "range" || event.key.startsWith("Arrow"))) return;
  if (press(event.key)) event.preventDefault();
});

