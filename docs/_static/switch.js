"use strict";
// The switch to the other language leads to the same place on the page: headings are called the same.
document.addEventListener("click", ({ target }) => {
  if (target.matches(".language a")) target.hash = location.hash;
});
