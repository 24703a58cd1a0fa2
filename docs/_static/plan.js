"use strict";
// What pruning would leave, by the arithmetic of pruning/plan.py and pruning/search.py, on the
// dependencies that Python found in the network (docs/dependencies.py).

const planning = (() => {
  class PlanError extends Error {}

  const product = (numbers) => numbers.reduce((a, b) => a * b, 1);
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

  /** As Python's round: a half goes to the even neighbour. */
  function round(number) {
    const below = Math.floor(number);
    const rest = number - below;
    if (rest === 0.5) return below + (below % 2);
    return rest < 0.5 ? below : below + 1;
  }

  function commonMultiple(a, b) {
    let multiple = Math.max(a, b);
    while (multiple % a || multiple % b) multiple++;
    return multiple;
  }

  /** Channels left in every layer; `ratios` are the shares of output channels to cut, by filter. */
  class Plan {
    constructor(dependencies, ratios) {
      this.dependencies = dependencies;
      this.ratios = ratios;
      this.shapes = structuredClone(dependencies.shapes);
      const cut = new Set();
      for (const [name, ratio] of Object.entries(ratios)) {
        const { blocks, members, filters } = dependencies.groups[name];
        const removed = this.blocksRemoved(name);
        if (!(ratio >= 0 && ratio < 1) || removed >= blocks) {
          throw new PlanError(
            words("ratio {ratio} would leave {name} none of its channels", { ratio, name }),
          );
        }
        if (filters.some((filter) => cut.has(filter))) {
          throw new PlanError(words("{name} is cut with another of the plan's filters", { name }));
        }
        filters.forEach((filter) => cut.add(filter));
        for (const [member, axis, size] of members) this.shapes[member][axis] -= removed * size;
      }
      this.flops = sum(Object.keys(dependencies.positions).map((name) => this.layerFlops(name)));
      this.parameters = sum(Object.values(this.shapes).map(product));
    }

    /** What goes of a filter: channels, or where a convolution has groups, whole groups. */
    blocksRemoved(name) {
      return round(this.ratios[name] * this.dependencies.groups[name].blocks);
    }

    layerFlops(name) {
      return product(this.shapes[name]) * this.dependencies.positions[name];
    }

    layerParameters(name) {
      const names = [name, ...(this.dependencies.vectors[name] ?? [])];
      return sum(names.map((tensor) => product(this.shapes[tensor])));
    }

    get unpruned() {
      return new Plan(this.dependencies, {});
    }

    /** The nearest plan whose cut layers keep a multiple of this many channels. */
    rounded(channelMultiple) {
      if (channelMultiple === 1) return this;
      const ratios = {};
      for (const name of Object.keys(this.ratios)) {
        const [channels] = this.dependencies.shapes[name];
        const [[, , size]] = this.dependencies.groups[name].members; // of a block of its own
        const left = channels - this.blocksRemoved(name) * size;
        const multiple = commonMultiple(channelMultiple, size);
        const multiples = Math.floor((left + multiple / 2) / multiple);
        const kept = Math.min(channels, Math.max(1, multiples) * multiple);
        ratios[name] = left < channels ? 1 - kept / channels : 0;
      }
      return new Plan(this.dependencies, ratios);
    }

    summary() {
      const { flops, parameters } = this.unpruned;
      const change = (after, before) => {
        const percent = 100 * (after / before - 1);
        return `${percent < 0 ? "" : "+"}${percent.toFixed(1)}%`;
      };
      const work =
        `${(flops / 1e9).toFixed(3)} G -> ${(this.flops / 1e9).toFixed(3)} G ` +
        `(${change(this.flops, flops)})`;
      const size =
        `${(parameters / 1e6).toFixed(2)} M -> ${(this.parameters / 1e6).toFixed(2)} M ` +
        `(${change(this.parameters, parameters)})`;
      return words("FLOPs {work}, parameters {size}", { work, size });
    }
  }

  /** The plan that cuts one share of channels from all these filters and comes nearest to a target. */
  function nearestUniformPlan(dependencies, names, target, tolerance = 0.001) {
    const { flops } = new Plan(dependencies, {});
    const uniform = (ratio) =>
      new Plan(dependencies, Object.fromEntries(names.map((name) => [name, ratio])));
    const share = (ratio) => 1 - uniform(ratio).flops / flops;
    const thinnest = Math.min(...names.map((name) => dependencies.groups[name].blocks));
    const most = share(1 - 1 / thinnest);
    if (most < target - tolerance) {
      throw new PlanError(
        words(
          "target_ratio {target} is out of reach: {number} matched layers, cut to their last " +
            "channel, would save {most} of the work; match more layers or ask for less",
          { target, number: names.length, most: Math.floor(1000 * most) / 1000 },
        ),
      );
    }
    return uniform(bisect(share, target, tolerance));
  }

  /** Where in 0..1 a growing function comes near a target, or as near as its steps allow. */
  function bisect(share, target, tolerance) {
    let [low, high, nearest, distance] = [0, 1, 0, Infinity];
    for (;;) {
      const middle = (low + high) / 2;
      const got = share(middle);
      if (Math.abs(got - target) < distance) {
        [nearest, distance] = [middle, Math.abs(got - target)];
      }
      if (Math.abs(got - target) < tolerance || high - low < 1e-6) return nearest;
      [low, high] = got > target ? [low, middle] : [middle, high];
    }
  }

  return { Plan, PlanError, nearestUniformPlan };
})();
