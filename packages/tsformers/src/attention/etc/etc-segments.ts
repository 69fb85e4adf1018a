import {
  cast,
  concat,
  constant,
  equal,
  expandDims,
  fromNumbers,
  ones,
  reshape,
  slice,
  Tensor,
  transpose,
} from "@tsformers/engine";

export type Range = readonly [from: number, to: number];

/** Whether each of some long positions belongs to each of some global tokens: bool [1 or B, globals, long]; undefined: all do. */
export type Membership = (globals: Range, long: Range) => Tensor | undefined;

/** Which long positions belong to which global tokens, given the segments of long positions, [L] or int32 [B, L]. */
export function membershipOf(segments: ArrayLike<number> | Tensor | undefined): Membership {
  if (segments === undefined) return () => undefined;
  if (segments instanceof Tensor)
    return (globals, [first, last]) => equal(columnOf(globals), expandDims(slice(segments, 1, first, last), 1));
  return ([from, to], [first, last]) => {
    const [rows, columns] = [to - from, last - first];
    const cells = Array.from({ length: rows * columns }, (_, i) =>
      segments[first + (i % columns)] === from + Math.floor(i / columns) ? 1 : 0,
    );
    return constant(fromNumbers(cells, [1, rows, columns], "bool"));
  };
}

/** A {@link Membership} as long positions by global tokens. */
export function transposed(isOwn: Tensor | undefined): Tensor | undefined {
  return isOwn && transpose(isOwn, [0, 2, 1]);
}

/** What global tokens see under a hard mask, all global tokens and the long positions of their own segment: bool [B, 1, G, G + L]. */
export function ownAndGlobal(segments: Tensor, globals: number): Tensor {
  const [batch, length] = segments.shape as [number, number];
  const long = cast(equal(columnOf([0, globals]), expandDims(segments, 1)), "float32");
  const both = concat([ones([batch, globals, globals]), long], 2);
  return reshape(cast(both, "bool"), [batch, 1, globals, globals + length]);
}

/** int32 [1, to − from, 1] */
function columnOf([from, to]: Range): Tensor {
  const numbers = Array.from({ length: to - from }, (_, i) => from + i);
  return constant(fromNumbers(numbers, [1, to - from, 1], "int32"));
}
