// The console's behaviour on top of plain links and forms, which all work without it.
(() => {
  "use strict";

  // --- Menus: <details> with arrow keys, Escape and a click elsewhere ---------------------------
  const openMenu = () => document.querySelector("details.menu[open]");
  const items = (menu) => [...menu.querySelectorAll("[role=menuitem]:not([aria-disabled=true])")];

  function closeMenu(menu, focus) {
    menu.removeAttribute("open");
    if (focus) menu.querySelector("summary").focus();
  }

  document.addEventListener("click", (event) => {
    const before = openMenu();
    const menu = event.target.closest("details.menu");
    if (before && before !== menu) closeMenu(before);
    if (!menu || !event.target.closest("summary")) return;
    // By hand, because the browser would tell of it only later: a quick second key must meet the menu.
    event.preventDefault();
    menu.toggleAttribute("open");
    const first = menu.open && items(menu)[0];
    if (first) first.focus();
  });

  document.addEventListener("keydown", (event) => {
    const menu = openMenu();
    if (!menu) return;
    const all = items(menu);
    const at = all.indexOf(document.activeElement);
    const go = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Escape") {
      closeMenu(menu, true);
    } else if (event.key === "Tab") {
      closeMenu(menu);
      return;
    } else if (go !== undefined && all.length) {
      all[(go + all.length) % all.length].focus();
    } else {
      return;
    }
    event.preventDefault();
  });

  // --- Dialogs: the server sends one, it opens as a modal, and the focus goes back -----------------
  let opener = null;

  document.addEventListener("htmx:beforeRequest", (event) => {
    const source = event.detail.elt;
    // A poll must not pull an open menu or dialog from under the reader.
    if (source.id === "part" && (openMenu() || document.querySelector("dialog[open]"))) {
      event.preventDefault();
      return;
    }
    const menu = source.closest("details.menu");
    if (menu) {
      opener = menu.querySelector("summary").getAttribute("aria-label");
      closeMenu(menu);
    }
  });

  // Not before it has settled: until then htmx has not wired the form, and it would pull the focus back to the
  // safe choice from someone who is quick with the Tab key.
  document.addEventListener("htmx:afterSettle", (event) => {
    const dialog = event.detail.target.id === "dialog" && event.detail.target.querySelector("dialog[data-modal]");
    if (!dialog) return;
    dialog.addEventListener("close", () => {
      dialog.remove();
      // A poll may have replaced the row meanwhile, so the button is found again by its name.
      const back = [...document.querySelectorAll("summary[aria-label]")].find((s) => s.getAttribute("aria-label") === opener);
      if (back) back.focus();
    });
    dialog.showModal();
  });

  document.addEventListener("click", (event) => {
    const dialog = event.target.closest("dialog");
    if (dialog && (event.target === dialog || event.target.closest("[data-close]"))) dialog.close();
  });

  // Errors are meant to be read: let them be swapped to where the server points.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr.getResponseHeader("HX-Retarget")) event.detail.shouldSwap = true;
  });

  // --- A page that is kept up to date says so when it cannot be ---------------------------------------
  function lost(words) {
    const place = document.getElementById("alerts");
    let notice = document.getElementById("lost");
    if (!words) {
      if (notice) notice.remove();
    } else if (place && !notice) {
      notice = document.createElement("div");
      notice.id = "lost";
      notice.className = "notice notice-error";
      notice.setAttribute("role", "alert");
      notice.textContent = words;
      place.append(notice);
    }
  }

  document.addEventListener("htmx:sendError", () => lost("The platform cannot be reached. This page may be out of date; it tries again by itself."));
  document.addEventListener("htmx:afterRequest", (event) => {
    const { xhr, elt } = event.detail;
    if (elt.id !== "part" || !xhr.status) return;
    lost(xhr.status >= 500 ? "The platform could not bring this page up to date. It tries again by itself." : "");
  });

  // --- A selected filter applies at once ------------------------------------------------------------
  document.addEventListener("change", (event) => {
    if (event.target.matches(".filters select")) event.target.form.requestSubmit();
  });

  // --- Copy ---------------------------------------------------------------------------------------
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.querySelector(button.dataset.copy);
    await navigator.clipboard.writeText(source.dataset.value || source.textContent);
    const label = button.querySelector("span") || button;
    const before = label.textContent;
    label.textContent = "Copied";
    setTimeout(() => { label.textContent = before; }, 1500);
  });

  // --- Times are shown in the reader's zone, and the server writes them ------------------------------
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) document.cookie = `time_zone=${zone}; path=/; max-age=31536000; samesite=lax`;

  // --- Theme --------------------------------------------------------------------------------------
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-switch]")) return;
    const root = document.documentElement.dataset;
    root.bsTheme = root.bsTheme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", root.bsTheme);
  });

  // --- The log grows while the build runs; it follows unless the reader has scrolled up -------------
  const POLL = 1000;

  const followed = new WeakSet();

  async function follow(log) {
    if (followed.has(log)) return;
    followed.add(log);
    let offset = [...log.textContent].length;
    log.scrollTop = log.scrollHeight;
    while (log.dataset.active === "1" && document.body.contains(log)) {
      try {
        const answer = await fetch(`${log.dataset.log}&after=${offset}`, { headers: { Accept: "text/plain" } });
        if (!answer.ok) return;
        const text = await answer.text();
        if (text) {
          const following = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
          log.append(text);
          offset = Number(answer.headers.get("X-Log-Offset"));
          if (following) log.scrollTop = log.scrollHeight;
        }
        if (answer.headers.get("X-Log-Done") === "1") log.dataset.active = "0";
      } catch {
        // The server may be restarting; the next round asks again.
      }
      await new Promise((resolve) => setTimeout(resolve, POLL));
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    // On a phone the tabs scroll sideways; the one that is open must be in sight.
    document.querySelectorAll(".tabs [aria-current]").forEach((tab) => tab.scrollIntoView({ block: "nearest", inline: "center" }));
    document.querySelectorAll("[data-log]").forEach(follow);
    // Another build than the one that was shown may have begun: then its log came with the page's part.
    document.addEventListener("htmx:afterSettle", () => document.querySelectorAll("[data-log]").forEach(follow));
    const errors = document.querySelector("[data-autofocus]");
    if (errors) errors.focus();
  });
})();
