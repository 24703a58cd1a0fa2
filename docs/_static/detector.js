"use strict";
// What stands before and behind the network, with the same numbers as in Python: Pillow's bilinear
// resize, the input's scale, and non-maximum suppression as Paddle's multiclass_nms3.

const detector = (() => {
  const BITS = 22; // of Pillow's fixed-point weights, for pixels of 8 bits
  const f32 = Math.fround;

  /** For each of `to` pixels, where it begins among `from` and what each weighs: Pillow's Resample.c. */
  function bilinearWeights(from, to) {
    const scale = from / to;
    const support = Math.max(scale, 1);
    const step = 1 / support;
    return Array.from({ length: to }, (_, i) => {
      const centre = (i + 0.5) * scale;
      const first = Math.max(0, Math.trunc(centre - support + 0.5));
      const end = Math.min(from, Math.trunc(centre + support + 0.5));
      const weights = [];
      for (let x = first; x < end; x++) {
        weights.push(Math.max(0, 1 - Math.abs((x - centre + 0.5) * step)));
      }
      const sum = weights.reduce((a, b) => a + b, 0);
      const fixed = weights.map((weight) => Math.trunc(0.5 + (weight / sum) * (1 << BITS)));
      return { first, weights: Int32Array.from(fixed) };
    });
  }

  /** RGBA [height, width, 4] with its width, or else its height, resized; alpha is left out. */
  function resizeAxis(pixels, width, height, size, isWidth) {
    const lines = isWidth ? height : width;
    const target = new Uint8Array(lines * size * 4);
    const [step, lineStep] = isWidth ? [4, 4 * width] : [4 * width, 4];
    const [targetStep, targetLineStep] = isWidth ? [4, 4 * size] : [4 * width, 4];
    const weighted = bilinearWeights(isWidth ? width : height, size);
    for (let line = 0; line < lines; line++) {
      weighted.forEach(({ first, weights }, i) => {
        const start = line * lineStep + first * step;
        for (let channel = 0; channel < 3; channel++) {
          let sum = 1 << (BITS - 1);
          for (let k = 0; k < weights.length; k++) {
            sum += weights[k] * pixels[start + k * step + channel];
          }
          target[line * targetLineStep + i * targetStep + channel] = sum >> BITS;
        }
      });
    }
    return target;
  }

  /** RGBA [height, width, 4] to [size, size, 4], each colour as Pillow's resize(BILINEAR). */
  function resize(pixels, width, height, size) {
    // Pillow 13 begins with the height if that shrinks much more than the width (its #9549).
    if (height > size && height - size > 2 * (width - size)) {
      const low = resizeAxis(pixels, width, height, size, false);
      return resizeAxis(low, width, size, size, true);
    }
    const narrow = resizeAxis(pixels, width, height, size, true);
    return resizeAxis(narrow, size, height, size, false);
  }

  /** An ImageData as the network takes it: float32 [1, 3, size, size], BGR, about -1..1. */
  function preprocess(image, { size: [size], mean, scale }) {
    const small = resize(image.data, image.width, image.height, size);
    const input = new Float32Array(3 * size * size);
    for (let channel = 0; channel < 3; channel++) {
      for (let i = 0; i < size * size; i++) {
        const value = f32(small[i * 4 + 2 - channel] - mean);
        input[channel * size * size + i] = value * f32(scale);
      }
    }
    return input;
  }

  const area = (box) =>
    box[2] < box[0] || box[3] < box[1] ? 0 : f32(f32(box[2] - box[0]) * f32(box[3] - box[1]));

  /** Intersection over union of two boxes, in float32 as Paddle computes it. */
  function overlap(a, b) {
    if (b[0] > a[2] || b[2] < a[0] || b[1] > a[3] || b[3] < a[1]) return 0;
    const width = f32(Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
    const height = f32(Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
    const both = f32(width * height);
    return f32(both / f32(f32(area(a) + area(b)) - both));
  }

  const firstOf = (list, count) => (count < 0 ? list : list.slice(0, count));

  /**
   * Boxes [P, 4] and scores [C, P] to detections {label, score, box}, best first.
   *
   * The settings are the "suppression" of an ONNX file's metadata, by the same names.
   */
  function suppress(boxes, scores, settings) {
    const priors = boxes.length / 4;
    const box = (prior) => boxes.subarray(4 * prior, 4 * prior + 4);
    const found = [];
    for (let label = 0; label < scores.length / priors; label++) {
      if (label === settings.background_label) continue;
      const score = scores.subarray(label * priors, (label + 1) * priors);
      const order = [];
      score.forEach((value, prior) => value > f32(settings.score_threshold) && order.push(prior));
      order.sort((a, b) => score[b] - score[a] || a - b);
      const kept = [];
      for (const prior of firstOf(order, settings.nms_top_k)) {
        const near = (other) => overlap(box(prior), box(other)) > f32(settings.nms_threshold);
        if (!kept.some(near)) kept.push(prior);
      }
      for (const prior of kept) {
        found.push({ label, score: score[prior], box: Array.from(box(prior)) });
      }
    }
    found.sort((a, b) => b.score - a.score);
    return firstOf(found, settings.keep_top_k);
  }

  return { resize, preprocess, suppress };
})();
