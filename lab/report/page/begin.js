// ---- begin -------------------------------------------------------------------------------------------------------
const wanted = new URLSearchParams(location.search).get("theme");
wear(wanted || kept() || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
$("board").hidden = false;
offer();
for (const tab of $("views").children) tab.addEventListener("click", () => show(tab.dataset.view));
rove($("views"), "[role=tab]");
rove($("grid"), ".user");
$("grid").addEventListener("click", askUser);
$("grid").addEventListener("keydown", askUser);
rove($("log"), ".line");
rove($("requests"), ".request");
show("replicas");
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
    dirty = true;
  });
}
