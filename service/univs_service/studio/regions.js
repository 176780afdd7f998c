/** What of a result is painted: the segments of its map, where it has one, and objects. */

/**
 * @typedef {object} Region
 * @property {number} id chooses the colour
 * @property {string | null} label null for an object that was prompted
 * @property {number} score
 * @property {boolean} isThing
 * @property {object} mask
 */

/** Whether an answer is of an entity that was found, not of an object that was prompted. */
export const isEntity = ({ category_id: category }) => category !== null && category !== undefined;

/** Give what was found in a frame: segments of the panoptic map, else of the semantic one, else entities. */
export function foundIn(result) {
  const map = result?.panoptic ?? result?.semantic ?? null;
  if (map !== null) return map.segments_info.map((segment) => regionOf(segment.id, segment));
  return (result?.objects ?? []).filter(isEntity).map((answer) => regionOf(answer.object_id, answer));
}

/** Give all regions of a frame, those of prompted objects last. */
export function regionsOf(result) {
  const prompted = result.objects.filter((answer) => !isEntity(answer));
  return [...foundIn(result), ...prompted.map((answer) => regionOf(answer.object_id, answer))];
}

function regionOf(id, { label, score, is_thing: isThing, area, mask }) {
  return { id, label: label ?? null, score, isThing: isThing !== false, area, mask };
}
