/** Extents of the axes, outermost first; `[]` is a scalar. */
export type Shape = readonly number[];

/** Number of elements. */
export function sizeOfShape(shape: Shape): number {
  return shape.reduce((product, n) => product * n, 1);
}

export function shapeText(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

export function shapesEqual(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

/** Row-major strides in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis]!;
  }
  return strides;
}

/**
 * The shape that two operands broadcast to, by NumPy's rule.
 * @throws RangeError naming `caller`, the axis and both shapes when they do not broadcast
 */
export function broadcastShapes(caller: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const m = a[axis - rank + a.length] ?? 1;
    const n = b[axis - rank + b.length] ?? 1;
    if (m !== n && m !== 1 && n !== 1) {
      throw new RangeError(`${caller}: shapes ${shapeText(a)} and ${shapeText(b)} do not broadcast at axis ${axis}`);
    }
    return m === 1 ? n : m;
  });
}

/**
 * A non-negative axis from a possibly negative one.
 * @throws RangeError naming `caller` when the axis is out of range
 */
export function resolveAxis(caller: string, axis: number, shape: Shape): number {
  const resolved = axis < 0 ? axis + shape.length : axis;
  if (!Number.isInteger(resolved) || resolved < 0 || resolved >= shape.length) {
    throw new RangeError(`${caller}: axis ${axis} is outside shape ${shapeText(shape)}`);
  }
  return resolved;
}
