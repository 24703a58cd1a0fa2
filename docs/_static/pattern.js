"use strict";
// Which names a pattern takes, where JavaScript's regular expressions are sure to agree with Python's.

const pattern = (() => {
  class PatternError extends Error {}

  // A piece that means the same in both languages. What is not listed may not: named groups, flags,
  // back-references, look-behind, possessive repetition, Python's \A and \Z, sets within sets.
  const PIECE = new RegExp(
    [
      /\\[dDwWsSbB.^$*+?()[\]{}|\\\/-]/, // an escape
      /\[\^?(?:[\w.]-[\w.]|[\w.,:]|\\[dwDW.])+\]/, // a class
      /\((?:\?[:=!]|(?!\?))/, // the beginning of a group
      /\)/,
      /(?:[*+?]|\{\d+(?:,\d*)?\})\??(?!\+)/, // a repetition
      /[\w\s.^$|,:;<>=!@#%&~"'`\/-]/, // any other character
    ]
      .map((piece) => piece.source)
      .join("|"),
    "uy",
  );

  /** The pieces of a pattern. */
  function split(text) {
    const pieces = [];
    PIECE.lastIndex = 0;
    while (PIECE.lastIndex < text.length) {
      const start = PIECE.lastIndex;
      const found = PIECE.exec(text);
      if (!found) {
        throw new PatternError(
          words(
            "this page cannot tell what Python makes of {rest}: JavaScript reads it otherwise. " +
              "In JupyterLab it works",
            { rest: text.slice(start) },
          ),
        );
      }
      pieces.push(found[0]);
    }
    return pieces;
  }

  /** Refuse a repetition around another one or around choices: it may try every way to split a name. */
  function checkRepetitions(pieces) {
    const open = [];
    let closed = null; // the group that the piece before ended
    for (const piece of pieces) {
      const repeats = /^[*+{]/.test(piece);
      if (repeats && closed?.isOpenEnded) {
        throw new PatternError(
          words("repetitions inside repetitions can take for ever: leave them out"),
        );
      }
      const group = closed;
      closed = null;
      if (piece.startsWith("(")) open.push({ isOpenEnded: false });
      else if (piece === ")") closed = open.pop() ?? null;
      if ((repeats || piece === "|" || group?.isOpenEnded) && open.length) {
        open.at(-1).isOpenEnded = true;
      }
      if (closed?.isOpenEnded && open.length) open.at(-1).isOpenEnded = true;
    }
  }

  /** The names that begin with a match, as Python's re.match takes them. */
  function match(text, names) {
    checkRepetitions(split(text));
    let expression;
    try {
      expression = new RegExp(text, "y"); // matches at lastIndex alone
    } catch (error) {
      const reason = error.message.split(": ").pop().toLowerCase();
      throw new PatternError(
        words("pruned_params '{text}' is not a regular expression: {reason}", { text, reason }),
      );
    }
    return names.filter((name) => {
      expression.lastIndex = 0;
      return expression.test(name);
    });
  }

  /**
   * The filters to cut that a pattern takes; otherwise says what is in the way.
   *
   * Of filters that are cut together the first that it takes stands for all.
   */
  function matchFilters(text, { shapes, groups, refusals }) {
    const names = Object.keys(shapes);
    const matched = match(text, names);
    if (!matched.length) {
      throw new PatternError(
        words(
          "pruned_params '{text}' matches none of the {number} parameters. " +
            "Filters that can be cut are {filters}",
          { text, number: names.length, filters: Object.keys(groups).join(", ") },
        ),
      );
    }
    const refused = Map.groupBy(
      matched.filter((name) => name in refusals),
      (name) => refusals[name],
    );
    if (refused.size) {
      const lines = [...refused].map(
        ([reason, refusedNames]) => `${some(refusedNames)}: ${words(reason)}`,
      );
      throw new PatternError(
        words("pruned_params '{text}' also matches what can't be cut:", { text }) +
          ["", ...lines].join("\n  "),
      );
    }
    const cut = new Set();
    return Object.keys(groups).filter((name) => {
      if (!matched.includes(name) || cut.has(name)) return false;
      groups[name].filters.forEach((filter) => cut.add(filter));
      return true;
    });
  }

  /** A few names in a row, and how many more there are. */
  function some(names, shown = 4) {
    const first = names.slice(0, shown).join(", ");
    const more = names.length - shown;
    return more > 0 ? words("{first} and {more} more", { first, more }) : first;
  }

  return { PatternError, match, matchFilters };
})();
