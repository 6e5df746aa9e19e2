// ---- acting: only where the lab was asked for it ---------------------------------------------------------------
function can(name) { return !!config.control && config.control.acts.includes(name); }
function button(name, label, what, about) {
  const made = el("button", "", label);
  made.type = "button";
  made.dataset.act = name;
  if (about) made.setAttribute("aria-label", about);
  made.addEventListener("click", () => act(made, name, what));
  return made;
}
async function act(made, name, what) {
  made.dataset.busy = "1";
  arm();
  try {
    const answer = await fetch(`/control/${name}`, {
      method: "POST", headers: { "Content-Type": "application/json", "X-Lab-Token": config.control.token }, body: JSON.stringify(what),
    });
    tell((await answer.json()).said);
  } catch (error) {
    tell(`nobody answers: ${error.message}`);
  } finally {
    delete made.dataset.busy;
    arm();
  }
}
function tell(text) {
  put($("told"), text);
  $("told").title = text;
}
// Nobody acts on a moment that is over, and there is nothing to act on once the run is.
function arm() {
  if (!config.control) return;
  const over = !!S.ended || !!document.body.dataset.end;
  $("controls").hidden = over;
  cls($("cluster"), over ? "panel calm" : "panel");
  for (const one of document.querySelectorAll("[data-act]")) {
    one.hidden = over;
    one.disabled = at !== null || !!one.dataset.busy;
  }
}
function offer() {
  if (!config.control) return;
  const row = [["kill", "Kill one"], ["freeze", "Freeze one for 3 s"]].filter(([name]) => can(name)).map(([name, label]) => button(name, label, {}));
  for (const image of can("roll") ? config.control.images : []) row.push(button("roll", `Roll to ${image}`, { image }));
  if (can("reverse")) row.push(button("reverse", "Reverse", {}));
  $("controls").append(...row);
  arm();
}

