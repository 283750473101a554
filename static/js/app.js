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

  const announce = (text) => {
    const live = document.getElementById("live");
    if (live) live.textContent = text;
  };

  const nameToggle = () => {
    const next = themeOf() === "dark" ? "light" : "dark";
    for (const button of document.querySelectorAll("[data-theme-toggle]"))
      button.setAttribute("aria-label", `Switch to ${next} theme`);
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
    button.dataset.label ||= button.textContent;
    button.textContent = copied ? "Copied" : "Press Ctrl+C";
    announce(copied ? "Copied" : "Selected. Press Control C to copy.");
    setTimeout(() => {
      button.textContent = button.dataset.label;
      announce("");
    }, 2000);
  };

  const enrich = (part) => {
    for (const time of part.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (!isNaN(at) && time.dateTime.includes("T"))
        time.title = `${at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })} your time`;
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

  // A part that replaces itself waits while somebody reads its details or stands in it.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.target;
    if (part.querySelector("details[open]") || part.contains(document.activeElement))
      event.preventDefault();
  });

  document.addEventListener("DOMContentLoaded", () => {
    nameToggle();
    enrich(document);
    root.dataset.said = document.querySelector("[data-announce]")?.dataset.announce ?? "";
  });
})();
