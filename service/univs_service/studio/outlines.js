/**
 * The outline of a mask as closed rings, for crisp lines at any zoom.
 *
 * The tracer walks along the edges between pixels with the mask on its right. A ring is made of the middles of those
 * edges, which turns the staircase of a slanted border into a straight line.
 */

const STEP_X = [1, 0, -1, 0]; // right, down, left, up
const STEP_Y = [0, 1, 0, -1];
// The pixels ahead of a walker that stands on a grid point, as offsets from that point.
const AHEAD_RIGHT = [[0, 0], [-1, 0], [-1, -1], [0, -1]];
const AHEAD_LEFT = [[0, -1], [0, 0], [-1, 0], [-1, -1]];

/**
 * Trace every border of a mask, those of holes included.
 * @param {Uint8Array} mask 0 or 1, rows from the top, [height * width]
 * @param {number} width
 * @param {number} height
 * @returns {{points: Float32Array, ringEnds: Uint32Array}} points x0, y0, x1, y1, ... in pixels; ringEnds counts
 *   points: ring i goes from ringEnds[i - 1] (or 0) up to ringEnds[i]
 */
export function traceOutlines(mask, width, height) {
  const isTraced = new Uint8Array(mask.length);
  const isInside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && mask[y * width + x] === 1;
  const points = [];
  const ringEnds = [];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (mask[y * width + x] && !isTraced[y * width + x] && !isInside(x, y - 1)) {
        walk(x, y, isInside, isTraced, width, points);
        ringEnds.push(points.length / 2);
      }
    }
  }
  return { points: Float32Array.from(points), ringEnds: Uint32Array.from(ringEnds) };
}

/** Follow one border from the upper edge of pixel (startX, startY) until it closes. */
function walk(startX, startY, isInside, isTraced, width, points) {
  let x = startX;
  let y = startY;
  let direction = 0;
  let previousDirection = -1;
  do {
    if (direction === 0) isTraced[y * width + x] = 1;
    const middleX = x + STEP_X[direction] / 2;
    const middleY = y + STEP_Y[direction] / 2;
    // On a straight stretch only its last middle is kept beside its first.
    if (direction === previousDirection && isStraight(points, middleX, middleY)) points.length -= 2;
    points.push(middleX, middleY);
    previousDirection = direction;
    x += STEP_X[direction];
    y += STEP_Y[direction];
    const [rightX, rightY] = AHEAD_RIGHT[direction];
    const [leftX, leftY] = AHEAD_LEFT[direction];
    if (!isInside(x + rightX, y + rightY)) direction = (direction + 1) % 4;
    else if (isInside(x + leftX, y + leftY)) direction = (direction + 3) % 4;
  } while (x !== startX || y !== startY || direction !== 0);
}

/** Whether the last point lies on the way from the one before it to (x, y), along a row or a column. */
function isStraight(points, x, y) {
  const length = points.length;
  if (length < 4) return false;
  const [beforeX, beforeY, lastX, lastY] = points.slice(length - 4);
  return (beforeX === lastX && lastX === x) || (beforeY === lastY && lastY === y);
}
