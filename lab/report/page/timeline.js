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
  const span = spanOf(), left = 5.9 * rem, right = w - Math.max(0.4 * rem, THUMB / 2);
  const frame = {
    g, rem, left, right, span, h, x: (t) => left + ((right - left) * t) / span, bottom: h - 1.5 * rem,
    top: (S.strikes.some((one) => !one.slot) ? 2.4 : 1.5) * rem, // what is not in a slot was struck above the lanes
    font: (size, weight = 500) => { g.font = `${weight} ${size * rem}px Inter, system-ui, "DejaVu Sans", sans-serif`; },
  };
  geometry = frame;
  slide();
  paintAxis(frame);
  if (view === "latency") paintLatency(frame);
  else paintReplicas(frame);
  g.strokeStyle = theme.ink;
  g.lineWidth = 1.5;
  line(g, frame.x(S.t), frame.top - 4, frame.x(S.t), frame.bottom);
}
function paintReplicas(frame) {
  const below = paintLanes(frame);
  paintBars(frame, below + 0.7 * frame.rem);
}
// Which of the three the panel shows: lanes of replicas, how long answers took, or a table of kinds of request.
let view = "replicas";
function show(name) {
  view = name;
  for (const tab of $("views").children) {
    tab.setAttribute("aria-selected", String(tab.dataset.view === name));
    tab.tabIndex = tab.dataset.view === name ? 0 : -1;
  }
  $("canvas").hidden = name === "requests";
  $("kinds").hidden = name !== "requests";
  measure();
}
function paintKinds() {
  const rows = Object.entries(S.kinds), key = JSON.stringify(S.kinds);
  if ($("kinds").dataset.key === key) return;
  $("kinds").dataset.key = key;
  $("kinds").querySelector("tbody").replaceChildren(...rows.map(([kind, one]) => {
    const row = el("tr"), head = el("th");
    head.scope = "row";
    head.append(pick("kind", kind, () => inspect({ what: "kind", kind, t: S.t })));
    row.append(head, ...[number(one.requests), number(one.failed), number(one.repeated)].map((text) => el("td", "n", text)),
      ...[one.p50, one.p95, one.p99, one.slowest].map((ms) => el("td", "n", `${ms < 10 ? ms.toFixed(1) : number(Math.round(ms))} ms`)));
    return row;
  }));
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
  // What a command of somebody's own printed, and what was observed: whose doing it was differs from the lab's own.
  for (const { t, tone } of S.log) {
    if (tone !== "command" && tone !== "seen") continue;
    g.strokeStyle = tone === "command" ? theme.ink : theme.dim;
    line(g, x(t), 1.3 * rem, x(t), (tone === "command" ? 1.9 : 1.6) * rem);
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
  if (tall > 2.6 * rem) g.fillText(number(most), left - 0.5 * rem, from + 0.35 * rem); // else there is room for one of them
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

