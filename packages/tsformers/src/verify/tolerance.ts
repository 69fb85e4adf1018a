import type { NDArray } from "@tsformers/engine";

/** Allowed distance from an expected value e: `absolute + relative · |e|`. */
export type Tolerance = { readonly absolute: number; readonly relative: number };

/** Tolerance of integers. */
export const exact: Tolerance = { absolute: 0, relative: 0 };

/** Parses "abs 2e-5 + rel 2e-4", of which either part may be absent, or "exact". @throws Error for anything else */
export function parseTolerance(text: unknown, name: string): Tolerance {
  if (typeof text === "string" && /^\s*exact\b/i.test(text)) return exact;
  const number = "([0-9]+(?:\\.[0-9]*)?(?:e[+-]?[0-9]+)?)";
  const match =
    typeof text === "string"
      ? new RegExp(`^\\s*(?:abs ${number})?\\s*\\+?\\s*(?:rel ${number})?(?:[\\s(,;].*)?$`, "i").exec(text)
      : null;
  if (match === null || (match[1] === undefined && match[2] === undefined)) {
    throw new Error(
      `meta.json: tolerance.${name}: expected "abs 2e-5 + rel 2e-4" or one of its parts, found ${JSON.stringify(text)}`,
    );
  }
  return { absolute: Number(match[1] ?? 0), relative: Number(match[2] ?? 0) };
}

export function toleranceText({ absolute, relative }: Tolerance): string {
  return [absolute > 0 || relative === 0 ? `abs ${absolute}` : "", relative > 0 ? `rel ${relative}` : ""]
    .filter(Boolean)
    .join(" + ");
}

/** The largest distance between two arrays, and whether every element is within its tolerance. Elements whose `counts` is 0 are ignored. */
export function largestError(
  found: NDArray,
  expected: NDArray,
  tolerance: Tolerance,
  counts: (flat: number) => boolean,
): { largestError: number; ok: boolean } {
  let largest = 0;
  let ok = true;
  const [a, b] = [found.data as Float32Array, expected.data as Float32Array];
  for (let i = 0; i < b.length; i++) {
    if (!counts(i)) continue;
    const [x, y] = [a[i]!, b[i]!];
    const same = Object.is(x, y) || x === y;
    const error = same ? 0 : Math.abs(x - y);
    // NaN on one side only must never pass; every comparison with NaN is false.
    if (!(error <= tolerance.absolute + tolerance.relative * Math.abs(y))) ok = false;
    if (!(error <= largest)) largest = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
  }
  return { largestError: largest, ok };
}
