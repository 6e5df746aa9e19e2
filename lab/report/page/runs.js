"use strict";
// The page of all runs: a filter over the table, and the theme that was chosen on any page of the lab.
const $ = (id) => document.getElementById(id);
const THEME = "lab-theme";
function kept() { try { return localStorage.getItem(THEME); } catch { return null; } }
function wear(theme) {
  if (theme === "dark") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}
wear(kept() || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
$("theme").addEventListener("click", () => {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  wear(theme);
  try { localStorage.setItem(THEME, theme); } catch { /* a browser may keep nothing for a file */ }
});
$("sift-runs").addEventListener("input", () => {
  const words = $("sift-runs").value.toLowerCase().split(/\s+/).filter(Boolean), rows = [...$("runs").tBodies[0].rows];
  for (const row of rows) { const text = row.textContent.toLowerCase(); row.hidden = !words.every((word) => text.includes(word)); }
  $("sifted").textContent = words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
});
