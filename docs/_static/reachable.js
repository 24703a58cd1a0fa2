"use strict";
// What scrolls by itself can be reached with the keyboard.
document.addEventListener("DOMContentLoaded", () => {
  const scrolls = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight) {
        target.tabIndex = 0;
      } else {
        target.removeAttribute("tabindex");
      }
    }
  });
  for (const box of document.querySelectorAll("article pre, .text_html, .table-wrapper")) {
    scrolls.observe(box);
  }
});
