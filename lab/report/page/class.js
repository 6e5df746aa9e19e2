"use strict";
// The trainer's page: all seats, asked for every two seconds.
const ago = (seconds) => (seconds < 60 ? `${Math.max(0, Math.round(seconds))} s` : `${Math.floor(seconds / 60)} min`);
const plural = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
function cell(tag, text, cls) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (cls) made.className = cls;
  return made;
}
function row({ word, heard, waits_since }, now) {
  const made = document.createElement("tr"), head = cell("th", word.name);
  head.scope = "row";
  if (waits_since) made.className = "waits";
  const lesson = word.lesson ? `${word.is_done ? "✓ " : ""}${word.lesson}` : "not begun";
  const broken = (word.broken || []).join(", ");
  made.append(
    head, cell("td", waits_since ? `waits ${ago(now - waits_since)}` : ""), cell("td", lesson), cell("td", word.failed || "", "n"),
    cell("td", word.hints || "", "n"), cell("td", broken ? `✕ ${broken}` : ""), cell("td", word.passed || "", "n"),
    cell("td", ago(now - heard), "n"),
  );
  return made;
}
async function look() {
  try {
    const { now, seats } = await (await fetch("/seats", { cache: "no-store" })).json();
    $("seats").tBodies[0].replaceChildren(...seats.map((one) => row(one, now)));
    const waiting = seats.filter((one) => one.waits_since).length;
    const head = seats.length ? `${plural(seats.length, "seat")}, ${waiting ? `${waiting} waiting for help` : "nobody waits"}` : "A class without seats yet";
    $("head").textContent = head;
    document.title = `${waiting ? `(${waiting} wait) ` : ""}class · lab`;
    $("state").textContent = "live";
  } catch {
    $("state").textContent = "the class has ended, or does not answer";
  }
  document.body.dataset.looked = String(Number(document.body.dataset.looked || 0) + 1);
  setTimeout(look, 2000);
}
look();
