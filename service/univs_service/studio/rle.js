/**
 * COCO compressed run-length encoding, decoded.
 *
 * A mask is scanned column by column; runs alternate between 0 and 1 and start with 0. Each run is written as the
 * difference to the run two places before it (from the fourth on), in groups of five bits, lowest first, one
 * printable character a group: bit 5 says that another group follows, bit 4 of the last group is the sign.
 */

const FIRST_CHARACTER = 48;
const VALUE_BITS = 0x1f;
const CONTINUES = 0x20;
const SIGN = 0x10;
const MOST_GROUPS = 6; // 30 bits hold the area of any frame that a browser can draw

/** A mask that does not follow the format. */
export class RleError extends Error {}

/**
 * Read the lengths of the runs.
 * @param {string} counts
 * @returns {number[]}
 */
export function readRuns(counts) {
  const runs = [];
  let position = 0;
  while (position < counts.length) {
    let value = 0;
    let group = 0;
    let bits;
    do {
      if (position >= counts.length || group >= MOST_GROUPS) {
        throw new RleError(`run ${runs.length} of the mask has no end after ${counts.length} characters`);
      }
      bits = counts.charCodeAt(position) - FIRST_CHARACTER;
      if (bits < 0 || bits > (CONTINUES | VALUE_BITS)) {
        throw new RleError(`character ${position} of the mask is ${JSON.stringify(counts[position])}, not 0 to o`);
      }
      value |= (bits & VALUE_BITS) << (5 * group);
      position += 1;
      group += 1;
    } while (bits & CONTINUES);
    if (bits & SIGN) value |= -1 << (5 * group);
    if (runs.length > 2) value += runs[runs.length - 2];
    if (value < 0) throw new RleError(`run ${runs.length} of the mask has length ${value}`);
    runs.push(value);
  }
  return runs;
}

/**
 * Decode a mask to one byte a pixel, rows from the top.
 * @param {{size: [number, number], counts: string}} rle size is height, width
 * @returns {{mask: Uint8Array, area: number}} mask holds 0 or 1, [height * width]
 */
export function decodeMask({ size: [height, width], counts }) {
  const mask = new Uint8Array(height * width);
  let area = 0;
  let start = 0;
  let isInside = false;
  for (const length of readRuns(counts)) {
    const end = start + length;
    if (end > mask.length) {
      throw new RleError(`the runs of the mask cover at least ${end} pixels, ${width} x ${height} has ${mask.length}`);
    }
    if (isInside) {
      area += length;
      let row = start % height;
      let column = (start - row) / height;
      for (let left = length; left > 0; left -= 1) {
        mask[row * width + column] = 1;
        row += 1;
        if (row === height) {
          row = 0;
          column += 1;
        }
      }
    }
    start = end;
    isInside = !isInside;
  }
  if (start !== mask.length) {
    throw new RleError(`the runs of the mask cover ${start} pixels, ${width} x ${height} has ${mask.length}`);
  }
  return { mask, area };
}
