"use strict";
// ONNX Runtime Web and the networks. A page on a disk may not fetch what lies beside it, but it may
// load scripts: each holds one file, gzipped, in base64.

const engine = (() => {
  const HERE = new URL("tryit/", document.currentScript.src);
  const NETWORKS = {
    unpruned: words("the unpruned network"),
    pruned: words("the pruned network"),
  };
  const sessions = {};
  let busy = Promise.resolve();

  /** Whether this browser can run the networks at all. */
  const isPossible = () =>
    [typeof WebAssembly, typeof DecompressionStream, typeof OffscreenCanvas].every(
      (kind) => kind !== "undefined",
    );

  function addScript(name) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = new URL(name, HERE);
      script.onload = resolve;
      script.onerror = () =>
        reject(new Error(words("{name} is missing beside this page", { name })));
      document.head.append(script);
    });
  }

  const toBytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

  async function unpack(name) {
    await addScript(`${name}.js`);
    const packed = new Blob([toBytes(PARTS[name])]);
    delete PARTS[name];
    const stream = packed.stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /** Load the engine and the networks of ABOUT; `onProgress(share, what)` hears how far it is. */
  async function load(onProgress) {
    const sizes = ABOUT.engine.parts;
    const total = Object.values(sizes).reduce((a, b) => a + b, 0);
    let done = 0;
    async function part(name, what) {
      onProgress(done / total, what);
      await new Promise((resolve) => setTimeout(resolve)); // let the page show it
      const bytes = await unpack(name);
      done += sizes[name];
      return bytes;
    }
    await addScript("ort.wasm.min.js");
    const module = new Blob([await part("ort_module", words("the engine"))], {
      type: "text/javascript",
    });
    ort.env.wasm.numThreads = 1; // more need headers that no page on a disk has
    ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(module) };
    ort.env.wasm.wasmBinary = await part("ort_wasm", words("the engine"));
    for (const { name } of ABOUT.networks) {
      const model = await part(name, NETWORKS[name]);
      sessions[name] = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
    }
    onProgress(1, "");
  }

  /** A network's boxes [P, 4] and scores [C, P] for an input of `detector.preprocess`. */
  function run(name, input) {
    const [size] = ABOUT.preprocessing.size;
    const job = async () => {
      const image = new ort.Tensor("float32", input, [1, 3, size, size]);
      const { boxes, scores } = await sessions[name].run({ image });
      return { boxes: boxes.data, scores: scores.data };
    };
    // One at a time: the engine has one thread.
    const result = busy.then(job);
    busy = result.catch(() => {});
    return result;
  }

  return { isPossible, load, run, toBytes };
})();
