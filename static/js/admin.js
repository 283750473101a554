// The fields of the admin that look rows up are drawn by a script that gives them no name: what the
// label says is said there, too, of those that are added later as well.
(() => {
  const nameLookUps = (part) => {
    for (const select of part.querySelectorAll("select.admin-autocomplete")) {
      const name = select.getAttribute("aria-label") || select.labels[0]?.textContent.trim();
      const box = select.parentElement.querySelector(".select2-selection");
      if (!name || !box) continue;
      for (const named of [box, box.querySelector("[role=textbox]")]) {
        if (!named) continue;
        const chosen = select.selectedOptions[0]?.textContent.trim();
        named.removeAttribute("aria-labelledby");
        named.setAttribute("aria-label", chosen ? `${name} ${chosen}` : name);
      }
    }
  };

  addEventListener("load", () => {
    nameLookUps(document);
    // One that is chosen is said with the name; the library tells by events of its own.
    new MutationObserver(() => nameLookUps(document)).observe(document.body, {
      subtree: true,
      childList: true,
    });
  });
})();
