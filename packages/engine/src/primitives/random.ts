import { type DType, isFloat } from "../array/dtype.ts";
import { type Shape, shapeText, sizeOfShape } from "../array/shape.ts";
import type { Tensor, TensorLike } from "../trace/tensor.ts";
import { mul, sub } from "./arithmetic.ts";
import { cast } from "./cast.ts";
import { less } from "./comparison.ts";
import { concat, split } from "./concat.ts";
import { cos, log, sin, sqrt } from "./exponential.ts";
import { fill } from "./iota.ts";
import { bitField, randomBits } from "./random-bits.ts";
import { reshape } from "./shape.ts";
import { slice } from "./slice.ts";

/** The upper 24 bits of each word as a fraction, which float32 holds exactly. */
function fractions(key: TensorLike, shape: Shape): Tensor {
  return mul(cast(bitField(randomBits(key, shape), 8, 24), "float32"), 2 ** -24);
}

function checkFloat(caller: string, dtype: DType, shape: Shape): void {
  if (!isFloat(dtype)) throw new TypeError(`${caller}: expected a float dtype for ${shapeText(shape)}, got ${dtype}`);
}

/**
 * Uniform numbers, `0 ≤ x < 1`, equal to those of the host's `uniform` in float32.
 * @shape key int32 [2] → shape
 */
export function randomUniform(key: TensorLike, shape: Shape, dtype: DType = "float32"): Tensor {
  checkFloat("randomUniform", dtype, shape);
  return cast(fractions(key, shape), dtype);
}

/**
 * Standard normal numbers by the Box–Muller transform, equal to those of the host's
 * `normal` up to rounding.
 *
 * With `h = ceil(n / 2)` and `u` the 24-bit fractions of the first `2h` words: `r[i] = √(−2 ln(1 − u[i]))`, element `i`
 * is `r[i] cos(2π u[h + i])` and element `h + i` is `r[i] sin(2π u[h + i])`.
 *
 * @shape key int32 [2] → shape
 * @source Box & Muller 1958, "A Note on the Generation of Random Normal Deviates"
 */
export function randomNormal(key: TensorLike, shape: Shape, dtype: DType = "float32"): Tensor {
  checkFloat("randomNormal", dtype, shape);
  const length = sizeOfShape(shape);
  if (length === 0) return fill(shape, 0, dtype);
  const half = Math.ceil(length / 2);
  const [radial, angular] = split(fractions(key, [2 * half]), 2, 0);
  const radius = sqrt(mul(log(sub(1, radial!)), -2));
  const angle = mul(angular!, 2 * Math.PI);
  const both = concat([mul(radius, cos(angle)), mul(radius, sin(angle))], 0);
  return cast(reshape(slice(both, 0, 0, length), shape), dtype);
}

/**
 * True with the given probability, rounded to a multiple of 2⁻¹⁶. Made for dropout: it uses 16 random bits per element.
 *
 * With `h = ceil(n / 2)` words of {@link randomBits}: element `i` is `(word[i] mod 2¹⁶) < p`, element `h + i` is
 * `⌊word[i] / 2¹⁶⌋ < p`, cut to `n`, where `p = round(2¹⁶ · probability)`.
 *
 * @shape key int32 [2] → bool shape
 * @throws RangeError when the probability is outside 0 … 1
 */
export function bernoulli(key: TensorLike, probability: number, shape: Shape): Tensor {
  if (!(probability >= 0 && probability <= 1)) {
    throw new RangeError(`bernoulli: expected a probability from 0 to 1 for ${shapeText(shape)}, got ${probability}`);
  }
  const length = sizeOfShape(shape);
  const words = randomBits(key, [Math.ceil(length / 2)]);
  const halves = [bitField(words, 0, 16), bitField(words, 16, 16)];
  const hits = halves.map((half) => less(half, Math.round(2 ** 16 * probability)));
  return reshape(slice(concat(hits, 0), 0, 0, length), shape);
}
