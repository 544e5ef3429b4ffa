// Suggestions under a field (the combobox pattern of ARIA's Authoring Practices). htmx fetches the options while
// somebody types; arrows move, Enter takes, Escape closes. Without this, the field is a plain one.
(() => {
  "use strict";

  const parts = (inside) => {
    const box = inside.closest("[data-combobox]");
    return box && { input: box.querySelector("input"), list: box.querySelector("[role=listbox]") };
  };
  const options = (list) => [...list.querySelectorAll("[role=option]")];

  // Without script the field has the browser's own list, which a combobox must not have besides.
  function equip() {
    document.querySelectorAll("[data-combobox] input:not([role])").forEach((input) => {
      input.removeAttribute("list");
      input.setAttribute("role", "combobox");
      input.setAttribute("aria-autocomplete", "list");
      input.setAttribute("aria-expanded", "false");
      input.setAttribute("aria-controls", parts(input).list.id);
    });
  }
  document.addEventListener("htmx:afterSettle", equip);
  equip();

  function close({ input, list }) {
    list.hidden = true;
    list.replaceChildren();
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function mark({ input, list }, at) {
    options(list).forEach((option, index) => option.setAttribute("aria-selected", String(index === at)));
    const marked = options(list)[at];
    marked.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", marked.id);
  }

  function take(both, option) {
    both.input.value = option.dataset.value;
    close(both);
    both.input.focus();
    if (both.input.form.matches(".filters")) both.input.form.requestSubmit();
  }

  document.addEventListener("htmx:afterSwap", (event) => {
    const list = event.detail.target;
    if (list.getAttribute("role") !== "listbox") return;
    const both = parts(list);
    const found = options(list);
    const unneeded = !found.length || document.activeElement !== both.input || found.some((o) => o.dataset.value === both.input.value && found.length === 1);
    if (unneeded) return close(both);
    found.forEach((option, index) => { option.id = `${list.id}-${index}`; });
    list.hidden = false;
    both.input.setAttribute("aria-expanded", "true");
    both.input.removeAttribute("aria-activedescendant");
  });

  document.addEventListener("keydown", (event) => {
    const both = event.target.matches("[role=combobox]") && parts(event.target);
    if (!both) return;
    if (event.key === "ArrowDown" && both.list.hidden) {
      window.htmx.trigger(both.input, "suggest");
      event.preventDefault();
      return;
    }
    if (both.list.hidden) return;
    const all = options(both.list);
    const at = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown") mark(both, (at + 1) % all.length);
    else if (event.key === "ArrowUp") mark(both, (at <= 0 ? all.length : at) - 1);
    else if (event.key === "Enter" && at >= 0) take(both, all[at]);
    else if (event.key === "Escape") close(both);
    else return;
    event.preventDefault();
  });

  // Before the field loses the focus to the click.
  document.addEventListener("mousedown", (event) => {
    const option = event.target.closest("[data-combobox] [role=option]");
    if (!option) return;
    event.preventDefault();
    take(parts(option), option);
  });

  document.addEventListener("focusout", (event) => {
    const both = event.target.matches("[role=combobox]") && parts(event.target);
    if (both) close(both);
  });
})();
