// The threshold page follows its sliders: without this script, its button does the same.
for (const form of document.querySelectorAll("form[data-live]")) {
  form.addEventListener("input", (event) => {
    event.target.closest("div").querySelector("output").value = event.target.value;
  });
  form.addEventListener("change", () => form.requestSubmit());
}
