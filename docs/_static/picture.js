"use strict";
// Image files as pixels: upright, with the very values that Pillow's convert("RGB") gives.

const picture = (() => {
  /** A file's pixels, as ImageData without transparency. */
  async function decode(blob) {
    // No colour profile is applied and no alpha multiplied in: Python does neither.
    const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
    const bitmap = await createImageBitmap(blob, options);
    const image = (await isPng(blob)) ? readByWebGL(bitmap) : null;
    return image ?? read(bitmap, bitmap.width, bitmap.height);
  }

  async function isPng(blob) {
    const [first] = new Uint8Array(await blob.slice(0, 1).arrayBuffer());
    return first === 0x89;
  }

  /** What a canvas shows of a bitmap or a video. */
  function read(source, width, height) {
    const context = new OffscreenCanvas(width, height).getContext("2d");
    context.drawImage(source, 0, 0, width, height);
    return opaque(context.getImageData(0, 0, width, height));
  }

  /** The same by WebGL; a 2D canvas would lose the colours under alpha. Null if it cannot be done. */
  function readByWebGL(bitmap) {
    const { width, height } = bitmap;
    const gl = new OffscreenCanvas(1, 1).getContext("webgl");
    if (!gl || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return null;
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
    gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
    const place = [gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D];
    gl.framebufferTexture2D(...place, texture, 0);
    const image = new ImageData(width, height);
    const pixels = new Uint8Array(image.data.buffer);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    gl.getExtension("WEBGL_lose_context")?.loseContext();
    return opaque(image);
  }

  function opaque(image) {
    for (let i = 3; i < image.data.length; i += 4) image.data[i] = 255;
    return image;
  }

  /** A canvas with the picture, its longer side at most `largest` pixels. */
  function shown(image, largest) {
    const scale = Math.min(1, largest / Math.max(image.width, image.height));
    const whole = new OffscreenCanvas(image.width, image.height);
    whole.getContext("2d").putImageData(image, 0, 0);
    const sides = [image.width, image.height].map((side) => Math.max(1, Math.round(side * scale)));
    const small = new OffscreenCanvas(...sides);
    small.getContext("2d").drawImage(whole, 0, 0, ...sides);
    return small;
  }

  return { decode, read, shown };
})();
