// The threshold page follows its sliders: without this script, its button does the same.
for (const form of document.querySelectorAll("form[data-live]")) {
  form.addEventListener("input", (event) => {
    event.target.closest("div").querySelector("output").value = event.target.value;
  });
  form.addEventListener("change", () => form.requestSubmit());
}

// A part of a page that shows work under way is fetched anew until the work is done; then the whole page is.
const SELECTOR = "[data-following]";

async function follow() {
  const part = document.querySelector(SELECTOR);
  if (!part) return;
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const next = page.querySelector(SELECTOR);
    if (!next) return location.reload();
    if (next.textContent !== part.textContent) part.replaceWith(next);
  } catch { // the bot can't be reached: the next try may succeed
  }
  setTimeout(follow, 2000);
}
setTimeout(follow, 2000);
