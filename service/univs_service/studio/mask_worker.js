/**
 * Off the main thread: turn the encoded masks of one frame into one picture and the outlines of its objects.
 *
 * In:  {key, width, height, objects: [{objectId, colour: [r, g, b], mask: {size, counts}}]}
 * Out: {key, bitmap, outlines: [{objectId, points, ringEnds}]} or {key, error}
 * A pixel is either fully transparent or has the exact colour of its object; where objects overlap the smaller one
 * is on top (of two equal ones, the later in the list).
 */

import { traceOutlines } from "./outlines.js";
import { decodeMask } from "./rle.js";

self.addEventListener("message", async ({ data }) => {
  const { key, width, height, objects } = data;
  try {
    const decoded = objects.map((object) => ({ ...object, ...decodeMask(object.mask) }));
    const bitmap = await paint(decoded, width, height);
    const outlines = decoded.map(({ objectId, mask }) => ({ objectId, ...traceOutlines(mask, width, height) }));
    const buffers = outlines.flatMap(({ points, ringEnds }) => [points.buffer, ringEnds.buffer]);
    self.postMessage({ key, bitmap, outlines }, [bitmap, ...buffers]);
  } catch (error) {
    self.postMessage({ key, error: `the mask of this frame cannot be drawn: ${error.message}` });
  }
});

/** Paint the masks, the largest first. */
async function paint(decoded, width, height) {
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (const { mask, colour } of [...decoded].sort((one, other) => other.area - one.area)) {
    const [value] = new Uint32Array(Uint8Array.from([...colour, 255]).buffer);
    for (let index = 0; index < mask.length; index += 1) {
      if (mask[index]) pixels[index] = value;
    }
  }
  return createImageBitmap(image);
}
