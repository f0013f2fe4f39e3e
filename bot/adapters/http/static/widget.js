// The widget: a button at the edge of a page, which opens the chat. What the page looks like doesn't reach into it, nor the other
// way round. <script type="module" src="https://bot.example.org/widget/widget.js"></script>

import { Chat, element, randomId } from "./chat.js";

const base = new URL(".", import.meta.url);
const host = document.createElement("knowledge-bot");
host.style.display = "none"; // until its looks are there
const panel = element("div", { id: "panel", role: "dialog", "aria-label": "Ask the documents", hidden: "" });
const button = element("button", { id: "opener", type: "button", "aria-expanded": "false" }, "Ask");
const style = element("link", { rel: "stylesheet", href: new URL("chat.css", base).href });
let chat = null;

function show(open) {
  panel.hidden = !open;
  button.setAttribute("aria-expanded", String(open));
  button.textContent = open ? "Close" : "Ask";
  if (open) {
    chat ??= new Chat(panel, base, randomId());
    chat.focus();
  } else {
    button.focus();
  }
}

button.addEventListener("click", () => show(panel.hidden));
panel.addEventListener("keydown", (pressed) => {
  if (pressed.key === "Escape") show(false);
});
style.addEventListener("load", () => host.style.removeProperty("display"));
host.attachShadow({ mode: "open" }).append(style, panel, button);
document.body.append(host);
