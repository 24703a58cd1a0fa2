"use strict";
// A page on a disk may not fetch the pages that the search has found, to show where the words stand.
// Their texts are in page_texts.js then.
if (location.protocol === "file:") {
  window.fetch = async (url) => {
    const page = decodeURI(url)
      .replace(/^\.\//, "")
      .replace(/\.html$/, "");
    return new Response(`<div role="main">${PAGE_TEXTS[page] ?? ""}</div>`);
  };
}
