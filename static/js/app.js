// Progressive enhancement only: every page works without this file.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const themeOf = () => root.dataset.theme || (system.matches ? "dark" : "light");

  // Runs before the first paint (the script is not deferred), so the theme never flashes.
  root.classList.add("js");
  try {
    const stored = localStorage.getItem("theme");
    if (stored === "light" || stored === "dark") root.dataset.theme = stored;
  } catch {
    // Storage may be switched off: follow the system.
  }

  const live = () => document.getElementById("live");
  const word = (name) => live()?.dataset[name] ?? "";
  const announce = (text) => {
    if (live()) live().textContent = text;
  };

  const nameToggle = () => {
    const next = themeOf() === "dark" ? "light" : "dark";
    for (const button of document.querySelectorAll("[data-theme-toggle]"))
      button.setAttribute("aria-label", next === "dark" ? button.dataset.toDark : button.dataset.toLight);
  };

  const switchTheme = () => {
    const next = themeOf() === "dark" ? "light" : "dark";
    const asSystem = (next === "dark") === system.matches;
    if (asSystem) delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      if (asSystem) localStorage.removeItem("theme");
      else localStorage.setItem("theme", next);
    } catch {
      // The choice then lasts for this page only.
    }
    nameToggle();
  };

  // What is shown once: the way on opens when it was copied, by the button or by hand.
  const wayOn = (button) => button.dataset.letsGo && document.querySelector(button.dataset.letsGo);
  const holdBack = (button) => wayOn(button)?.setAttribute("aria-disabled", "true");
  const letGo = (button) => wayOn(button)?.removeAttribute("aria-disabled");

  document.addEventListener("copy", () => {
    for (const button of document.querySelectorAll("[data-lets-go]"))
      if (getSelection().containsNode(document.querySelector(button.dataset.copy), true)) letGo(button);
  });

  document.addEventListener("click", (event) => {
    if (!event.target.closest("a[aria-disabled=true]")) return;
    event.preventDefault();
    announce(word("copyFirst"));
    document.querySelector("[data-lets-go]")?.focus();
  });

  const copy = async (button) => {
    const source = document.querySelector(button.dataset.copy);
    if (!source) return;
    let copied = true;
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
    } catch {
      // Plain http has no clipboard: select the text, and try the old command.
      getSelection().selectAllChildren(source);
      copied = document.execCommand("copy");
    }
    if (copied) letGo(button);
    button.dataset.label ||= button.textContent;
    button.textContent = word(copied ? "copied" : "press");
    announce(word(copied ? "copied" : "selected"));
    setTimeout(() => {
      button.textContent = button.dataset.label;
      announce("");
    }, 2000);
  };

  // As the reader's browser writes the language of the page: British English has no Nov 29.
  const written = () => navigator.languages.find((tag) => tag.split("-")[0] === root.lang) ?? root.lang;

  const enrich = (part) => {
    for (const time of part.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (isNaN(at) || !time.dateTime.includes("T")) continue;
      const here = `${at.toLocaleString(written(), { dateStyle: "medium", timeStyle: "short" })} ${word("yourTime")}`;
      // A time that is told as “3 hours ago” has the exact one there already.
      time.title = time.title.endsWith("UTC") ? `${time.title}, ${here}` : here;
    }
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-theme-toggle]");
    if (button) button.dataset.copy ? copy(button) : switchTheme();
    for (const menu of document.querySelectorAll("details.menu[open]"))
      if (!menu.contains(event.target)) menu.open = false;
  });

  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  // One box ticks all of its form, and shows whether all, some or none of them are.
  const boxesOf = (all) => [...all.form.elements].filter(({ name }) => name === all.dataset.ticks);
  const showTicked = (all) => {
    const ticked = boxesOf(all).filter((box) => box.checked).length;
    all.checked = ticked > 0 && ticked === boxesOf(all).length;
    all.indeterminate = ticked > 0 && !all.checked;
  };

  document.addEventListener("change", ({ target }) => {
    const all = [...(target.form?.elements ?? [])].find((field) => field.dataset.ticks);
    if (!all) return;
    if (target === all) for (const box of boxesOf(all)) box.checked = all.checked;
    showTicked(all);
  });

  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    // After this task, so that the button's own name and value are still sent.
    if (button && !event.defaultPrevented)
      setTimeout(() => {
        button.disabled = true;
        button.dataset.sent = "";
      });
  });

  addEventListener("pageshow", () => {
    // Browsers keep what was ticked when somebody comes back.
    document.querySelectorAll("[data-ticks]").forEach(showTicked);
    for (const button of document.querySelectorAll("[data-sent]")) {
      button.disabled = false;
      delete button.dataset.sent;
    }
  });

  // Parts that htmx swaps in: times again, and a change of state is spoken once.
  document.addEventListener("htmx:load", (event) => {
    const part = event.target;
    enrich(part);
    const news = part.dataset?.announce;
    if (news && news !== root.dataset.said) announce((root.dataset.said = news));
  });

  // A part that replaces itself does so while it is looked at, and unseen: details that are open
  // stay open, and who stands in it stays there. Both are found again by their id or address.
  const isPart = (part) => part.matches("[hx-trigger^=every]");
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && isPart(event.target)) event.preventDefault();
  });

  let before = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const part = event.target;
    if (!isPart(part)) return;
    const active = part.contains(document.activeElement) ? document.activeElement : null;
    before = {
      open: [...part.querySelectorAll("details[id][open]")].map((details) => details.id),
      id: active && active.id,
      href: active && active.getAttribute("href"),
    };
  });

  document.addEventListener("htmx:afterSwap", () => {
    if (!before) return;
    for (const id of before.open) document.getElementById(id)?.setAttribute("open", "");
    const same =
      (before.id && document.getElementById(before.id)) ||
      (before.href && document.querySelector(`main a[href="${CSS.escape(before.href)}"]`));
    same?.focus({ preventScroll: true });
    before = null;
  });

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    for (const part of document.querySelectorAll("[hx-get][hx-trigger^=every]"))
      htmx.ajax("GET", part.getAttribute("hx-get"), { source: part, target: part, swap: "outerHTML" });
  });

  // --- public pages: the language of examples, and contents that show where one is ---
  const LANGUAGES = ["curl", "python", "javascript"];
  const nameLanguage = () => {
    for (const button of document.querySelectorAll("[data-choose-language]"))
      button.setAttribute("aria-pressed", button.dataset.chooseLanguage === root.dataset.language);
  };

  // Before the first paint, so that nothing jumps.
  root.dataset.language = LANGUAGES[0];
  try {
    const stored = localStorage.getItem("language");
    if (LANGUAGES.includes(stored)) root.dataset.language = stored;
  } catch {
    // The first one, then.
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-choose-language]");
    if (!button) return;
    const top = button.getBoundingClientRect().top;
    root.dataset.language = button.dataset.chooseLanguage;
    nameLanguage();
    // Examples above change their height; what was clicked stays under the pointer.
    scrollBy({ top: button.getBoundingClientRect().top - top, behavior: "instant" });
    try {
      localStorage.setItem("language", root.dataset.language);
    } catch {
      // The choice then lasts for this page only.
    }
  });

  const follow = (contents) => {
    const links = [...contents.querySelectorAll("a[href^='#']")];
    const places = links.map((link) => document.getElementById(link.hash.slice(1)));
    const passed = new Set();
    const show = (entries) => {
      for (const { target, isIntersecting } of entries)
        isIntersecting ? passed.add(target) : passed.delete(target);
      const at = Math.max(places.findLastIndex((place) => passed.has(place)), 0);
      for (const [number, link] of links.entries())
        if (number === at) link.setAttribute("aria-current", "location");
        else link.removeAttribute("aria-current");
    };
    // All that is above a line in the window counts as seen, however quickly it passed.
    const observer = new IntersectionObserver(show, { rootMargin: "1000000px 0px -66% 0px" });
    for (const place of places) if (place) observer.observe(place);
  };
  // --- end of public pages ---

  document.addEventListener("DOMContentLoaded", () => {
    nameLanguage();
    for (const contents of document.querySelectorAll("[data-follows]")) follow(contents);
    // On a phone not all tabs have room: the one that one is at has.
    document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
    nameToggle();
    enrich(document);
    document.querySelectorAll("[data-lets-go]").forEach(holdBack);
    root.dataset.said = document.querySelector("[data-announce]")?.dataset.announce ?? "";
  });
})();
