/** The colours of objects: bright enough for a video, far apart, and bound to the object's id. */

const COLOURS = [
  [255, 90, 95], // coral
  [46, 186, 255], // sky
  [255, 197, 61], // amber
  [123, 211, 74], // leaf
  [199, 125, 255], // violet
  [255, 143, 208], // pink
  [31, 214, 181], // teal
  [255, 154, 60], // orange
];
const GOLDEN_ANGLE = 137.508;

/**
 * Give the colour of an object.
 * @param {number} objectId from 1
 * @returns {[number, number, number]} red, green, blue, 0 to 255
 */
export function objectColour(objectId) {
  return COLOURS[objectId - 1] ?? fromHue((objectId * GOLDEN_ANGLE) % 360);
}

/** Write a colour for CSS, with an opacity where one is given. */
export function cssColour([red, green, blue], opacity = 1) {
  return `rgb(${red} ${green} ${blue} / ${opacity})`;
}

/** A saturated light colour of a hue in degrees. */
function fromHue(hue) {
  const channel = (offset) => {
    const k = (offset + hue / 30) % 12;
    return Math.round(255 * (0.62 - 0.38 * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}
