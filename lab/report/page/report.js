// ---- the report below the board ------------------------------------------------------------------------------------
const report = $("report");
if (report) {
  for (const block of report.querySelectorAll("pre")) {
    const button = pick("copy", "copy", () => copy(button, block.textContent), "copy this");
    block.before(button);
  }
  report.addEventListener("click", (event) => {
    const story = event.target.closest("[data-at]");
    if (!story) return;
    const t = Number(story.dataset.at), user = known.indexOf(story.dataset.user);
    $("board").scrollIntoView();
    reveal({ t, user });
  });
  $("sift-report").addEventListener("input", () => {
    const words = $("sift-report").value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const one of report.querySelectorAll("tbody tr, .story, section li, dl > div")) {
      const text = one.textContent.toLowerCase(), fits = words.every((word) => text.includes(word));
      one.hidden = !fits;
      count += fits;
    }
    put($("sifted"), words.length ? plural(count, "match").replace("matchs", "matches") : "");
  });
}

