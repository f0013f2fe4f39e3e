// The chat with the bot, in an element of a page or of a shadow root. All text is put in as text, never as HTML.

// The elements that answers are made of. "plain" is a text whose spaces and line breaks stand as they are.
const TAGS = new Set(
  "p h4 ul ol li blockquote table thead tbody tr th td strong em s code pre br hr a plain".split(" "),
);

export function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function button(text, press, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", press);
  return made;
}

function link(href, ...children) {
  const web = /^(https?|mailto):/i.test(href);
  return web ? element("a", { href, target: "_blank", rel: "noopener noreferrer" }, ...children) : element("span", {}, ...children);
}

function shown(node) {
  if (typeof node === "string") return node;
  const children = node.children.map(shown);
  if (node.tag === "a") return link(node.href, ...children);
  if (node.tag === "plain") return element("p", { class: "plain" }, ...children);
  if (node.tag === "table") return element("div", { class: "wide", tabindex: "0" }, element("table", {}, ...children));
  if (node.tag === "pre") return element("pre", { tabindex: "0" }, ...children);
  return element(TAGS.has(node.tag) ? node.tag : "span", {}, ...children);
}

export class Chat {
  // `base`: the address below which the chat's routes are. `visitor`: a random id of whoever asks.
  constructor(place, base, visitor) {
    this.base = base;
    this.visitor = visitor;
    this.running = null; // the AbortController of the question that is being answered
    this.log = element("div", { class: "log", role: "log", "aria-label": "Conversation", tabindex: "0" });
    this.input = element("textarea", { id: "question", rows: "1", maxlength: "20000", placeholder: "Ask a question…" });
    this.send = element("button", { class: "send" }, "Ask");
    this.form = element(
      "form", {}, element("label", { for: "question", class: "unseen" }, "Your question"), this.input, this.send,
    );
    const fresh = button("New conversation", () => this.begin(), { class: "fresh" });
    place.replaceChildren(element("header", {}, element("h1", {}, "Ask the documents"), fresh), this.log, this.form);
    this.form.addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      this.running ? this.running.abort() : this.ask();
    });
    this.input.addEventListener("keydown", (pressed) => {
      if (pressed.key === "Enter" && !pressed.shiftKey && !pressed.isComposing) {
        pressed.preventDefault();
        if (!this.running) this.ask();
      }
    });
    this.input.addEventListener("input", () => this.fit());
    this.begin();
  }

  focus() {
    this.input.focus();
  }

  // A new conversation: nothing that was said before is referred to any more.
  begin() {
    this.running?.abort();
    this.conversation = randomId();
    this.log.replaceChildren(
      element("p", { class: "hint" }, "Answers are quoted from the documents, with where they stand. Follow-up questions are understood."),
    );
    this.focus();
  }

  fit() {
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight + 2}px`;
  }

  async ask() {
    const question = this.input.value.trim();
    if (!question) return;
    this.input.value = "";
    this.fit();
    const status = element("p", { class: "status" }, "Sending…");
    const turn = element("article", {}, element("h2", { class: "question" }, question), status);
    this.log.append(turn);
    turn.scrollIntoView({ block: "end" });
    const running = this.running = new AbortController();
    this.send.textContent = "Stop";
    try {
      await this.stream(question, running.signal, (name, data) => {
        if (name === "progress") status.textContent = data.text;
        else status.replaceWith(...(name === "answer" ? this.answer(data) : [problem(data.text)]));
      });
      if (status.isConnected) throw new Error("The connection broke before the answer came. Please ask again.");
    } catch (error) {
      status.replaceWith(running.signal.aborted ? element("p", { class: "status" }, "Stopped.") : problem(error.message));
    } finally {
      if (this.running === running) {
        this.running = null;
        this.send.textContent = "Ask";
      }
      turn.scrollIntoView({ block: turn.offsetHeight > this.log.clientHeight ? "start" : "end" });
    }
  }

  // Calls `happened` with the name and the data of each event.
  async stream(question, signal, happened) {
    const response = await this.post("questions", { question, conversation: this.conversation }, signal);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        const lines = Object.fromEntries(event.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
        if (lines.data) happened(lines.event, JSON.parse(lines.data));
      }
    }
  }

  async post(path, body, signal) {
    const response = await fetch(new URL(path, this.base), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...body, visitor: this.visitor }),
      signal,
    }).catch((error) => {
      throw signal?.aborted ? error : new Error("The bot can't be reached. Please ask again in a moment.");
    });
    if (response.ok) return response;
    const told = await response.json().catch(() => ({}));
    throw new Error(told.detail ?? `The bot answered with the error ${response.status}.`);
  }

  answer(data) {
    const fromDocuments = data.outcome === "answered" || data.outcome === "suggested";
    const text = element("div", { class: `answer ${data.outcome}` }, ...data.nodes.map(shown));
    if (data.outcome === "suggested") text.prepend(element("p", { class: "badge" }, "Suggestion"));
    if (data.remark) text.prepend(element("p", { class: "status" }, data.remark));
    const parts = [text];
    if (data.sources.length) parts.push(this.sources(data));
    if (fromDocuments) parts.push(this.buttons(data, text));
    return parts;
  }

  sources(data) {
    let passages = null; // asked for once, when the first source is opened
    const items = data.sources.map((source, number) => {
      const passage = element("div", { class: "passage", tabindex: "0" }, "…");
      const details = element("details", {}, element("summary", {}, source.text), passage);
      if (source.url) details.append(link(source.url, "Open the document"));
      details.addEventListener("toggle", async () => {
        if (!details.open || passage.querySelector("mark")) return;
        try {
          passages ??= this.post("passages", { reference: data.reference }).then((response) => response.json());
          const { before, quote, after } = (await passages)[number];
          passage.replaceChildren(before, element("mark", {}, quote), after);
          const mark = passage.querySelector("mark");
          passage.scrollTop = mark.offsetTop - passage.offsetTop - 24;
        } catch (error) {
          passages = null;
          passage.replaceChildren(problem(error.message));
        }
      });
      return element("li", {}, details);
    });
    return element("ul", { class: "sources", "aria-label": "Sources" }, ...items);
  }

  buttons(data, text) {
    const said = element("span", { role: "status" });
    const rate = (helpful) => async () => {
      try {
        await this.post("ratings", { reference: data.reference, helpful });
        yes.setAttribute("aria-pressed", String(helpful));
        no.setAttribute("aria-pressed", String(!helpful));
        said.textContent = helpful ? "Thank you!" : "Thank you. The operator will see it.";
      } catch (error) {
        said.textContent = error.message;
      }
    };
    const unsure = data.outcome === "suggested";
    const yes = button(unsure ? "That's it" : "Helpful", rate(true), { "aria-pressed": "false" });
    const no = button(unsure ? "No" : "Not helpful", rate(false), { "aria-pressed": "false" });
    const all = [yes, no];
    if (data.more.length) {
      const more = button("More", () => {
        const rest = element("div", { class: "rest", tabindex: "-1" }, ...data.more.map(shown));
        text.append(rest);
        more.remove();
        rest.focus();
      });
      all.push(more);
    }
    return element("div", { class: "buttons" }, ...all, said);
  }
}

function problem(text) {
  return element("p", { class: "problem", role: "alert" }, text);
}
