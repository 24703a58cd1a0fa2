"use strict";
/** A text in the language of the page, with its {values} put in. */
const words = (text, values = {}) => {
  const message = (typeof MESSAGES === "undefined" ? {} : MESSAGES)[text] ?? text;
  return message.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
};
