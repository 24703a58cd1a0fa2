"use strict";
// The page "Try it": a picture is chosen, both networks look at it, and their latency is measured.

const tryit = (() => {
  const $ = (id) => document.getElementById(`tryit-${id}`);
  const names = ABOUT.networks.map((network) => network.name);
  const LARGEST = 1000; // pixels of a canvas's longer side
  const [WARM_UP, ROUNDS] = [2, 20];
  const NO_ENGINE = words(
    "These pages were made without a network, so the engine that runs the detectors is missing here. " +
      "With a network, make html fetches it.",
  );
  const CALLED = { unpruned: words("unpruned"), pruned: words("pruned") };
  const state = {
    image: null,
    canvas: null,
    input: null,
    found: {},
    ready: false,
    stream: null,
    asked: 0,
  };

  const say = (text) => ($("status").textContent = text);
  const pause = () => new Promise((resolve) => setTimeout(resolve));

  // --- choosing a picture

  function show(image) {
    const input = detector.preprocess(image, ABOUT.preprocessing);
    Object.assign(state, { image, input, canvas: picture.shown(image, LARGEST), found: {} });
    draw();
    return state.ready ? detect() : undefined;
  }

  async function open(blob, name) {
    stopCamera();
    const turn = ++state.asked;
    let image;
    try {
      image = await picture.decode(blob);
    } catch {
      say(words("{name} is not a picture that this browser can read.", { name }));
      return;
    }
    if (turn !== state.asked) return; // another one was chosen meanwhile
    const next = ABOUT.engine ? words("Load the networks to see what they find in it.") : NO_ENGINE;
    say(state.ready ? words("{name}.", { name }) : words("{name}. {next}", { name, next }));
    await show(image);
  }

  function openSample(index) {
    const { name, type, base64 } = ABOUT.samples[index];
    mark($("samples").children[index]);
    return open(new Blob([engine.toBytes(base64)], { type }), name);
  }

  function openFile(file) {
    if (!file) return;
    mark(null);
    return open(file, file.name);
  }

  function mark(chosen) {
    for (const button of $("samples").children) button.ariaPressed = button === chosen;
  }

  // --- the camera

  async function startCamera() {
    try {
      state.stream = await navigator.mediaDevices.getUserMedia({ video: true });
    } catch (error) {
      const reason = error.message || error.name;
      say(words("There is no picture from a camera: {reason}.", { reason }));
      return;
    }
    mark(null);
    $("camera").textContent = words("Stop the camera");
    say(words("What the camera sees stays in this page."));
    const video = Object.assign(document.createElement("video"), { muted: true });
    video.srcObject = state.stream;
    await video.play();
    while (state.stream) {
      await show(picture.read(video, video.videoWidth, video.videoHeight));
      await pause();
    }
  }

  function stopCamera() {
    state.stream?.getTracks().forEach((track) => track.stop());
    state.stream = null;
    $("camera").textContent = words("Use the camera");
  }

  // --- the networks

  async function load() {
    $("load").disabled = true;
    $("progress").hidden = false;
    const start = performance.now();
    try {
      await engine.load((share, what) => {
        $("progress").value = share;
        if (what) say(words("Loading {what} ...", { what }));
      });
    } catch (error) {
      say(words("The networks could not be loaded: {reason}", { reason: error.message }));
      $("load").disabled = false;
      return;
    } finally {
      $("progress").hidden = true;
    }
    state.ready = true;
    $("load").hidden = true;
    $("measure").disabled = false;
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    say(words("Loaded in {seconds} s.", { seconds }));
    if (state.image) await detect();
  }

  async function detect() {
    const { input } = state;
    for (const name of names) {
      const { boxes, scores } = await engine.run(name, input);
      if (input !== state.input) return; // another picture was chosen meanwhile
      state.found[name] = detector.suppress(boxes, scores, ABOUT.suppression);
      draw();
      await pause();
    }
  }

  // --- what is seen

  const describe = ({ label, score }) => `${ABOUT.classes[label]} ${score.toFixed(2)}`;

  function draw() {
    const least = Number($("score").value);
    $("least").textContent = least.toFixed(2);
    if (!state.canvas) return;
    for (const name of names) {
      const found = state.found[name]?.filter((detection) => detection.score > least);
      const canvas = $(`canvas-${name}`);
      canvas.width = state.canvas.width;
      canvas.height = state.canvas.height;
      const context = canvas.getContext("2d");
      context.drawImage(state.canvas, 0, 0);
      const unit = Math.max(canvas.width, canvas.height) / 450;
      for (const part of [drawBox, drawLabel]) {
        found?.toReversed().forEach((detection) => part(context, unit, detection));
      }
      const summary = found ? count(found.length) : words("not run yet");
      const network = CALLED[name];
      $(`caption-${name}`).textContent = words("{network}: {summary}", { network, summary });
      const seen = found?.map(describe).join(", ") || summary;
      canvas.ariaLabel = words("{network}: {summary}", { network, summary: seen });
    }
  }

  const count = (number) =>
    number === 1 ? words("1 detection") : words("{number} detections", { number });

  const colour = ({ label }) => ABOUT.colours[label % ABOUT.colours.length];

  /** Corners in pixels of a canvas. */
  const corners = ({ box }, { width, height }) => box.map((x, i) => x * (i % 2 ? height : width));

  function drawBox(context, unit, detection) {
    const [left, top, right, bottom] = corners(detection, context.canvas);
    context.lineWidth = 2 * unit;
    context.strokeStyle = colour(detection);
    context.strokeRect(left, top, right - left, bottom - top);
  }

  function drawLabel(context, unit, detection) {
    const [left, top] = corners(detection, context.canvas);
    const text = describe(detection);
    context.font = `${13 * unit}px system-ui, sans-serif`;
    context.fillStyle = colour(detection);
    const width = context.measureText(text).width + 6 * unit;
    const start = Math.max(0, Math.min(left, context.canvas.width - width));
    const edge = Math.max(0, top - 16 * unit);
    context.fillRect(start, edge, width, 16 * unit);
    context.fillStyle = "white";
    context.fillText(text, start + 3 * unit, edge + 12 * unit);
  }

  // --- latency

  /** The value at a share of some sorted values, in between as numpy.quantile. */
  function quantile(sorted, share) {
    const place = share * (sorted.length - 1);
    const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
    return low + (high - low) * (place % 1);
  }

  /** Runs in turns, so that what slows the machine slows both networks. */
  async function measure() {
    if (!state.input) {
      say(words("Choose a picture first."));
      return;
    }
    stopCamera();
    $("measure").disabled = true;
    const { input } = state;
    const times = Object.fromEntries(names.map((name) => [name, []]));
    for (let round = 1 - WARM_UP; round <= ROUNDS; round++) {
      const done = Math.max(0, round);
      say(words("Measuring: {done} of {all} runs of each network", { done, all: ROUNDS }));
      await pause();
      for (const name of names) {
        const start = performance.now();
        await engine.run(name, input);
        if (round > 0) times[name].push(performance.now() - start);
      }
    }
    const medians = names.map((name) => {
      const sorted = times[name].sort((a, b) => a - b);
      const [low, median, high] = [0.25, 0.5, 0.75].map((share) => quantile(sorted, share));
      $(`median-${name}`).textContent = median.toFixed(1);
      const [from, to] = [low.toFixed(1), high.toFixed(1)];
      $(`quartiles-${name}`).textContent = words("{from} to {to}", { from, to });
      return median;
    });
    names.forEach((name, i) => {
      $(`share-${name}`).textContent = (medians[i] / medians[0]).toFixed(2);
    });
    say(
      words("Measured: {runs} runs of each network, in turns, non-maximum suppression left out.", {
        runs: ROUNDS,
      }),
    );
    $("measure").disabled = false;
  }

  // --- the page

  function offerSamples() {
    ABOUT.samples.forEach(({ name, type, base64 }, index) => {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      const image = Object.assign(document.createElement("img"), {
        src: `data:${type};base64,${base64}`,
        alt: words("Test image {name}", { name }),
      });
      button.append(image);
      button.addEventListener("click", () => openSample(index));
      $("samples").append(button);
    });
  }

  function start() {
    if (!engine.isPossible()) {
      say(words("This browser has no WebAssembly, or is too old: the networks cannot run in it."));
      return;
    }
    $("controls").hidden = false;
    offerSamples();
    for (const { name, bytes } of ABOUT.networks) {
      $(`megabytes-${name}`).textContent = (bytes / 1e6).toFixed(1);
    }
    $("load").disabled = !ABOUT.engine;
    if (!ABOUT.engine) say(NO_ENGINE);
    $("camera").hidden = !navigator.mediaDevices;
    $("load").addEventListener("click", load);
    $("measure").addEventListener("click", measure);
    $("score").addEventListener("input", draw);
    $("camera").addEventListener("click", () => (state.stream ? stopCamera() : startCamera()));
    $("file").addEventListener("change", (event) => openFile(event.target.files[0]));
    for (const kind of ["dragover", "drop"]) {
      document.addEventListener(kind, (event) => event.preventDefault());
    }
    document.addEventListener("drop", (event) => openFile(event.dataTransfer.files[0]));
    if (ABOUT.samples.length) openSample(0);
  }

  document.addEventListener("DOMContentLoaded", start);
  return { state };
})();
