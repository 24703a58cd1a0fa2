"use strict";
// What scrolls by itself can be reached, and scrolled, with the keyboard.
(() => {
  const BOXES = "article pre, .text_html, .image_png, .table-wrapper";

  const scrolls = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight) {
        target.tabIndex = 0;
      } else {
        target.removeAttribute("tabindex");
      }
    }
  });
  document.addEventListener("DOMContentLoaded", () => {
    for (const box of document.querySelectorAll(BOXES)) scrolls.observe(box);
  });

  // The arrow keys belong to it then: Sphinx would turn the page.
  const keep = (event) => event.target.matches(BOXES) && event.stopPropagation();
  document.addEventListener("keydown", keep, { capture: true });
})();
