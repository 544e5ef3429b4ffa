// Files that are dropped on a field go into its file input, as if they had been chosen there.
(() => {
  "use strict";

  const place = (event) => event.dataTransfer.types.includes("Files") && event.target.closest("[data-drop]");
  const mark = (marked) => document.querySelectorAll("[data-drop]").forEach((one) => one.classList.toggle("dropping", one === marked));

  document.addEventListener("dragover", (event) => {
    const over = place(event);
    mark(over);
    if (over) event.preventDefault();
  });

  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) mark(null);
  });

  document.addEventListener("drop", (event) => {
    const over = place(event);
    mark(null);
    if (!over) return;
    event.preventDefault();
    const input = document.getElementById(over.dataset.drop);
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
})();
