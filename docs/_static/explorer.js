"use strict";
// The slider of chapter 2 without a kernel: the plan follows the ratio, the pattern and the multiple.

document.addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("explorer");
  if (!place) return;
  const output = place.closest(".cell_output");

  function make(tag, attributes = {}, ...children) {
    const element = Object.assign(document.createElement(tag), attributes);
    element.append(...children);
    return element;
  }

  const start = { pattern: place.dataset.pattern, target: place.dataset.target };
  const text = make("input", { type: "text", value: start.pattern, spellcheck: false });
  const range = { type: "range", min: 0.05, max: 0.95, step: 0.01, value: start.target };
  const slider = make("input", range);
  const shownTarget = make("output");
  const multiple = make("select", {}, ...[1, 8, 16].map((number) => new Option(number, number)));
  const controls = make(
    "div",
    { className: "controls" },
    make("label", { className: "wide" }, words("pattern"), " ", text),
    make("label", { className: "wide" }, "target_ratio ", slider, shownTarget),
    make("label", {}, words("multiple of"), " ", multiple),
  );
  const result = make("div", { ariaLive: "polite" });
  output.replaceChildren(make("div", { className: "explorer" }, controls, result));

  function table(plan) {
    const head = [
      "",
      words("channels before"),
      words("channels after"),
      words("FLOPs after (M)"),
      words("parameters after"),
    ];
    const rows = Object.keys(plan.ratios).map((name) => [
      name,
      DEPENDENCIES.shapes[name][0],
      plan.shapes[name][0],
      (plan.layerFlops(name) / 1e6).toFixed(1),
      plan.layerParameters(name),
    ]);
    const header = head.map((cell) => (cell ? make("th", { scope: "col" }, cell) : make("td")));
    const body = rows.map(([name, ...cells]) =>
      make("tr", {}, make("th", { scope: "row" }, name), ...cells.map((c) => make("td", {}, c))),
    );
    const whole = make("table", {}, make("thead", {}, make("tr", {}, ...header)));
    whole.append(make("tbody", {}, ...body));
    return make("div", { className: "text_html", tabIndex: 0 }, whole);
  }

  function plot(plan) {
    const bars = Object.keys(plan.ratios).map((name) => {
      const [had, left] = [DEPENDENCIES.shapes[name][0], plan.shapes[name][0]];
      const bar = make("span", { className: "bar" }, make("span"));
      bar.firstChild.style.width = `${(100 * left) / had}%`;
      const count = make("span", { className: "count" }, words("{left} of {had}", { left, had }));
      return make("div", {}, make("span", {}, name.replace(".w_0", "")), bar, count);
    });
    const caption = make("figcaption", {}, words("share of channels left"));
    return make("figure", { className: "plan-plot" }, caption, ...bars);
  }

  function follow() {
    const target = Number(slider.value);
    shownTarget.textContent = target.toFixed(2);
    try {
      const names = pattern.matchFilters(text.value, DEPENDENCIES);
      const nearest = planning.nearestUniformPlan(DEPENDENCIES, names, target);
      const plan = nearest.rounded(Number(multiple.value));
      const head = words("target_ratio {target}, {number} filters: {summary}", {
        target,
        number: names.length,
        summary: plan.summary(),
      });
      result.replaceChildren(make("p", {}, head), table(plan), plot(plan));
    } catch (error) {
      if (!(error instanceof pattern.PatternError || error instanceof planning.PlanError))
        throw error;
      result.replaceChildren(
        make("p", { className: "refusal" }, words("{reason}.", { reason: error.message })),
      );
    }
  }

  for (const control of [text, slider, multiple]) control.addEventListener("input", follow);
  follow();
});
