// ---- how long answers took, and how many failed, over time and by release ----------------------------------------
const STEPS = 8, AS_MS = (bucket) => 2 ** ((bucket + 1) / STEPS) / 1e6; // as the samples' buckets are made
function within(counts, share) {
  let left = share * counts.total;
  for (const bucket of [...counts.keys()].sort((a, b) => a - b)) { left -= counts.get(bucket); if (left <= 1e-9) return AS_MS(bucket); }
  return 0;
}
// Samples put together, so that a long run is drawn in as many steps as can be seen.
function latencies(span) {
  const every = S.plan.every, size = Math.max(every, Math.ceil(1 / every) * every, Math.ceil(span / 120 / every) * every), bins = [];
  for (const one of S.samples) {
    const bin = (bins[Math.floor((one.t - 1e-6) / size)] ||= { by: [], failed: [], unanswered: 0 });
    (one.took || []).forEach((flat, i) => {
      const counts = (bin.by[i] ||= Object.assign(new Map(), { total: 0 }));
      for (let k = 0; k < flat.length; k += 2) { counts.set(flat[k], (counts.get(flat[k]) || 0) + flat[k + 1]); counts.total += flat[k + 1]; }
    });
    (one.failed || []).forEach((count, i) => { bin.failed[i] = (bin.failed[i] || 0) + count; });
    bin.unanswered += one.unanswered || 0;
  }
  return { size, bins };
}
const SHARES = [["p50", 0.5, [1, 3], 1.5], ["p95", 0.95, [5, 3], 1.8], ["p99", 0.99, [], 2.4]];
function paintLatency({ g, rem, x, left, right, top, bottom, span, font }) {
  const ceiling = top + 1.2 * rem; // the legend is above
  const { size, bins } = latencies(span), low = 2.6 * rem, base = bottom - low - 0.8 * rem, lines = [];
  S.releases.forEach((_, i) => SHARES.forEach(([, share, dash, wide]) => lines.push({
    i, dash, wide, points: bins.map((bin, n) => (bin && bin.by[i] && bin.by[i].total ? [Math.min((n + 0.5) * size, S.t), within(bin.by[i], share)] : null)),
  })));
  const all = lines.flatMap((one) => one.points.filter(Boolean).map((point) => point[1]));
  const least = Math.log10(Math.max(0.1, Math.min(1, ...all))), most = Math.log10(Math.max(10, ...all) * 1.1);
  const y = (ms) => base - ((base - ceiling) * (Math.log10(Math.max(ms, 0.1)) - least)) / (most - least);
  font(0.85);
  g.textAlign = "right";
  for (const ms of [0.1, 1, 10, 100, 1000, 10000, 100000].filter((one) => Math.log10(one) >= least - 0.01 && Math.log10(one) <= most)) {
    g.strokeStyle = theme.line;
    g.lineWidth = 1;
    line(g, left, y(ms), right, y(ms));
    g.fillStyle = theme.dim;
    g.fillText(ms < 1000 ? `${ms} ms` : `${ms / 1000} s`, left - 0.5 * rem, y(ms));
  }
  for (const { i, dash, wide, points } of lines) {
    g.strokeStyle = g.fillStyle = colour(i);
    g.lineWidth = wide;
    g.setLineDash(dash);
    g.beginPath();
    points.forEach((point, n) => {
      if (!point) return;
      if (points[n - 1]) g.lineTo(x(point[0]), y(point[1])); else g.moveTo(x(point[0]), y(point[1]));
      if (!points[n - 1] && !points[n + 1]) g.fillRect(x(point[0]) - 1.5, y(point[1]) - 1.5, 3, 3);
    });
    g.stroke();
  }
  g.setLineDash([]);
  font(0.85, 600);
  g.fillStyle = theme.dim;
  g.textAlign = "right";
  g.fillText("solid p99 · dashed p95 · dotted p50", right, top + 0.5 * rem);
  g.textAlign = "right";
  g.fillText("failed/s", left - 0.5 * rem, bottom - low / 2);
  const sums = bins.map((bin) => (bin ? bin.unanswered + bin.failed.reduce((sum, one) => sum + (one || 0), 0) : 0) / size), high = Math.max(1, ...sums);
  bins.forEach((bin, n) => {
    let sum = 0;
    const bar = (count, ink) => {
      const tall = (low * (count || 0)) / size / high;
      g.fillStyle = ink;
      g.fillRect(x(n * size), bottom - sum - tall, Math.max(2, x(Math.min((n + 1) * size, span)) - x(n * size) - 0.5), tall);
      sum += tall;
    };
    S.releases.forEach((_, i) => bar(bin.failed[i], colour(i)));
    bar(bin.unanswered, theme.ink);
  });
  g.fillStyle = theme.dim;
  g.textAlign = "left";
  font(0.8);
  if (!sums.some((one) => one)) g.fillText(S.ended ? "none" : "none so far", left + 0.4 * rem, bottom - low / 2);
  else g.fillText(`${round(high)}: ink where no replica answered`, left + 0.4 * rem, bottom - low - 0.1 * rem);
  g.strokeStyle = theme.line;
  line(g, left, bottom + 0.5, right, bottom + 0.5);
}

