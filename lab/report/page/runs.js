"use strict";
// The page of all runs: a filter over the table.
$("sift-runs").addEventListener("input", () => {
  const words = $("sift-runs").value.toLowerCase().split(/\s+/).filter(Boolean), rows = [...$("runs").tBodies[0].rows];
  for (const row of rows) { const text = row.textContent.toLowerCase(); row.hidden = !words.every((word) => text.includes(word)); }
  $("sifted").textContent = words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
});
