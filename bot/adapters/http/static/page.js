// The ask page: one chat that fills the page. The browser keeps a random id, by which the limits count for each person.

import { Chat, randomId } from "./chat.js";

const KEY = "knowledge-bot-visitor";

function visitor() {
  try {
    const known = localStorage.getItem(KEY) ?? randomId();
    localStorage.setItem(KEY, known);
    return known;
  } catch { // the browser keeps nothing for this page
    return randomId();
  }
}

const chat = new Chat(document.getElementById("chat"), new URL(".", import.meta.url), visitor());
chat.focus();
