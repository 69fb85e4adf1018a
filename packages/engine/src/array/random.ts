import { allocate, type DType } from "./dtype.ts";
import { fromHalf, toHalf } from "./float16.ts";
import { convert, fromNumbers, NDArray } from "./nd-array.ts";
import { bitsOf, foldIn, type RandomKey } from "./random-key.ts";
import { type Shape, shapeText, sizeOfShape } from "./shape.ts";

type FloatType = "float32" | "float16" | "float64";

/**
 * Uniform numbers, `low ≤ x < high`: `low + u · (high − low)` with `u` the upper 24 bits of a word as a fraction.
 *
 * The bounds are first rounded to `dtype`. A result that rounding would raise to `high` becomes `low`, which
 * gives both ends of the interval equal probability.
 *
 * @throws RangeError when a bound is not finite or `low > high`
 */
export function uniform(
  key: RandomKey,
  shape: Shape,
  { low = 0, high = 1, dtype = "float32" }: { low?: number; high?: number; dtype?: FloatType } = {},
): NDArray {
  const [from, to] = [rounded(low, dtype), rounded(high, dtype)];
  if (!Number.isFinite(from) || !Number.isFinite(to) || from > to) {
    throw new RangeError(`uniform: expected finite bounds with low ≤ high, got low ${low} and high ${high} (${dtype})`);
  }
  return drawn(shape, dtype, (values) => {
    const words = bitsOf(key, values.length);
    for (let i = 0; i < words.length; i++) {
      const value = rounded(from + fraction(words[i]!) * (to - from), dtype);
      values[i] = value >= to ? from : value;
    }
  });
}

/**
 * Normally distributed numbers by the Box–Muller transform.
 *
 * With `n` elements, `h = ceil(n / 2)` and `u` the 24-bit fractions of the stream's first `2h` words:
 * `r[i] = √(−2 ln(1 − u[i]))`, element `i` is `r[i] cos(2π u[h + i])` and element `h + i` is `r[i] sin(2π u[h + i])`,
 * so that no element is beyond 5.77 standard deviations.
 *
 * @throws RangeError when `mean` is not finite or `deviation` is negative
 * @source Box & Muller 1958, "A Note on the Generation of Random Normal Deviates"
 */
export function normal(
  key: RandomKey,
  shape: Shape,
  { mean = 0, deviation = 1, dtype = "float32" }: { mean?: number; deviation?: number; dtype?: FloatType } = {},
): NDArray {
  requireMoments("normal", mean, deviation);
  return drawn(shape, dtype, (values) => {
    const half = Math.ceil(values.length / 2);
    const words = bitsOf(key, 2 * half);
    for (let i = 0; i < half; i++) {
      const radius = deviation * Math.sqrt(-2 * Math.log(1 - fraction(words[i]!)));
      const angle = 2 * Math.PI * fraction(words[half + i]!);
      values[i] = mean + radius * Math.cos(angle);
      if (half + i < values.length) values[half + i] = mean + radius * Math.sin(angle);
    }
  });
}

/**
 * Normally distributed numbers, truncated to between `lower` and `upper` standard deviations from the mean. `deviation` is
 * that of the normal before truncation, as in other libraries' initialisers.
 *
 * Rejection from a uniform proposal `z` in `[lower, upper]`, kept with probability `exp((m² − z²) / 2)`, where `m` is
 * the point of the interval nearest to 0. Attempt `r` for the elements that are still missing reads the stream of
 * `foldIn(key, r)`. Bounds may be infinite: tails less likely than e^−44 times the mode are left out.
 *
 * @throws RangeError when `lower > upper`, `mean` is not finite or `deviation` is negative
 */
export function truncatedNormal(
  key: RandomKey,
  shape: Shape,
  {
    mean = 0,
    deviation = 1,
    lower = -2,
    upper = 2,
    dtype = "float32",
  }: { mean?: number; deviation?: number; lower?: number; upper?: number; dtype?: FloatType } = {},
): NDArray {
  requireMoments("truncatedNormal", mean, deviation);
  if (!(lower <= upper) || lower === Number.POSITIVE_INFINITY || upper === Number.NEGATIVE_INFINITY) {
    throw new RangeError(`truncatedNormal: expected lower ≤ upper, got lower ${lower} and upper ${upper}`);
  }
  const mode = Math.max(lower, Math.min(upper, 0));
  const reach = Math.sqrt(mode * mode + 88);
  const from = Math.max(lower, -reach);
  const width = Math.min(upper, reach) - from;
  return drawn(shape, dtype, (values) => {
    let open = new Uint32Array(values.length).map((_, i) => i);
    for (let round = 0; open.length > 0; round++) {
      const words = bitsOf(foldIn(key, round), 2 * open.length);
      let left = 0;
      for (let i = 0; i < open.length; i++) {
        const z = from + (words[i]! / 2 ** 32) * width;
        const accepted = words[open.length + i]! / 2 ** 32 < Math.exp((mode * mode - z * z) / 2);
        if (accepted) values[open[i]!] = mean + deviation * z;
        else open[left++] = open[i]!;
      }
      open = open.subarray(0, left);
    }
  });
}

/**
 * Integers, `low ≤ x < high`, uniformly distributed: words that would favour some of them are redrawn.
 *
 * @throws RangeError when the bounds are not integers of `dtype` or not `low < high`, or lie more than 2^32 apart
 */
export function integers(
  key: RandomKey,
  shape: Shape,
  { low = 0, high, dtype = "int32" }: { low?: number; high: number; dtype?: "int32" | "int64" | "uint8" },
): NDArray {
  const [least, most] = integerRange[dtype];
  const valid = Number.isSafeInteger(low) && Number.isSafeInteger(high) && low < high && high - low <= 2 ** 32;
  if (!valid || low < least || high - 1 > most) {
    throw new RangeError(`integers: expected ${dtype} bounds low < high ≤ low + 2^32, got low ${low} and high ${high}`);
  }
  const next = wordsOf(key);
  const values = new Float64Array(sizeOfShape(shape));
  for (let i = 0; i < values.length; i++) values[i] = low + below(high - low, next);
  return fromNumbers(values, shape, dtype);
}

const integerRange: Record<"int32" | "int64" | "uint8", readonly [number, number]> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  uint8: [0, 255],
};

/**
 * The numbers 0 … n − 1 in random order, uniformly distributed over all orders (Fisher–Yates).
 *
 * @shape → int32 [n]
 * @throws RangeError when `n` is not an integer from 0 to 2^31
 */
export function permutation(key: RandomKey, n: number): NDArray {
  if (!Number.isInteger(n) || n < 0 || n > 2 ** 31) {
    throw new RangeError(`permutation: expected an integer n from 0 to 2^31, got ${n}`);
  }
  const order = new Int32Array(n).map((_, i) => i);
  const next = wordsOf(key);
  for (let i = n - 1; i > 0; i--) {
    const j = below(i + 1, next);
    const moved = order[i]!;
    order[i] = order[j]!;
    order[j] = moved;
  }
  return new NDArray([n], "int32", order);
}

/**
 * Draws one index per row from the distribution `softmax(logits)`, by inverting its cumulative sum at a 53-bit uniform number.
 * A logit of −∞ is never drawn.
 *
 * @shape logits […, V] → int32 […]
 * @throws RangeError when there is no last axis, or a row contains NaN or +∞, or only −∞
 */
export function categorical(key: RandomKey, logits: NDArray): NDArray {
  const classes = logits.shape.at(-1);
  if (classes === undefined) throw new RangeError("categorical: expected logits […, V], got a scalar");
  const shape = logits.shape.slice(0, -1);
  const rows = sizeOfShape(shape);
  const values = convert(logits, "float64").data as Float64Array;
  const words = bitsOf(key, 2 * rows);
  const classOf = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    const u = (words[row]! * 2 ** 21 + (words[rows + row]! >>> 11)) / 2 ** 53;
    classOf[row] = drawFrom(values.subarray(row * classes, (row + 1) * classes), u, () => rowText(row, logits.shape));
  }
  return new NDArray(shape, "int32", classOf);
}

function drawFrom(logits: Float64Array, u: number, where: () => string): number {
  let peak = Number.NEGATIVE_INFINITY;
  for (const logit of logits) {
    if (Number.isNaN(logit) || logit === Number.POSITIVE_INFINITY) {
      throw new RangeError(`categorical: expected finite logits or −∞, got ${logit} in ${where()}`);
    }
    if (logit > peak) peak = logit;
  }
  if (peak === Number.NEGATIVE_INFINITY) throw new RangeError(`categorical: no logit is above −∞ in ${where()}`);
  let total = 0;
  for (const logit of logits) total += Math.exp(logit - peak);
  const target = u * total;
  let sum = 0;
  let last = 0;
  for (let index = 0; index < logits.length; index++) {
    const weight = Math.exp(logits[index]! - peak);
    if (weight === 0) continue;
    last = index;
    sum += weight;
    if (sum > target) return index;
  }
  // Reached only when rounding of `u · total` gives `total` itself.
  return last;
}

function rowText(row: number, shape: Shape): string {
  return `row ${row} of logits ${shapeText(shape)}`;
}

/** An endless sequence of words, for draws that need an unknown number of them: chunk `c` is the stream of `foldIn(key, c)`. */
function wordsOf(key: RandomKey): () => number {
  const chunkLength = 1024;
  let chunk: Uint32Array = new Uint32Array(0);
  let at = 0;
  let chunks = 0;
  return () => {
    if (at === chunk.length) {
      chunk = bitsOf(foldIn(key, chunks++), chunkLength);
      at = 0;
    }
    return chunk[at++]!;
  };
}

/** An unbiased integer in `[0, bound)` for `1 ≤ bound ≤ 2^32`: words above the last whole multiple are skipped. */
function below(bound: number, next: () => number): number {
  const limit = 2 ** 32 - (2 ** 32 % bound);
  let word = next();
  while (word >= limit) word = next();
  return word % bound;
}

/** The upper 24 bits as a number in [0, 1), exact in float32, so that graphs can make the same numbers. */
function fraction(word: number): number {
  return (word >>> 8) / 2 ** 24;
}

/** An array whose elements `fill` writes when they are first read. */
function drawn(shape: Shape, dtype: FloatType, fill: (values: Float32Array | Float64Array) => void): NDArray {
  return new NDArray(shape, dtype, () => {
    const wide = dtype === "float64" ? "float64" : "float32";
    const values = allocate(wide, sizeOfShape(shape));
    fill(values);
    return convert(new NDArray(shape, wide, values), dtype).data;
  });
}

function rounded(value: number, dtype: DType): number {
  if (dtype === "float64") return value;
  return dtype === "float32" ? Math.fround(value) : fromHalf(toHalf(value));
}

function requireMoments(caller: string, mean: number, deviation: number): void {
  if (!Number.isFinite(mean) || !Number.isFinite(deviation) || deviation < 0) {
    throw new RangeError(
      `${caller}: expected a finite mean and a deviation ≥ 0, got mean ${mean} and deviation ${deviation}`,
    );
  }
}
