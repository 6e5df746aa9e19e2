"use strict";
// The theme that was chosen on any page of the lab, on pages that are no run.
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
