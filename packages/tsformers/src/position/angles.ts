import { add, cast, constant, cos, expandDims, floor, mul, ndarray, sin, sub, type Tensor } from "@tsformers/engine";

/** Sines and cosines of `position · frequency`: positions [...] int32 → two of [..., K]. */
export type Angles = (positions: Tensor) => { readonly sin: Tensor; readonly cos: Tensor };

/** `base^(−2k/width)` for k = 0 … width/2 − 1: wavelengths from 2π to 2π·base. */
export function frequencies(width: number, base = 10_000): number[] {
  return Array.from({ length: Math.ceil(width / 2) }, (_, k) => base ** ((-2 * k) / width));
}

/** `base^(−k/(K − 1))` for k = 0 … K − 1, so that the slowest is 1/base exactly: Tensor2Tensor's. */
export function inclusiveFrequencies(count: number, base = 10_000): number[] {
  return Array.from({ length: count }, (_, k) => base ** (-k / Math.max(count - 1, 1)));
}

/**
 * Angles that stay exact to about 1e-6 for positions up to 16,384: in float32 a plain product would lose 1e-4 by position
 * 2,000. Each frequency, in turns, is a sum of three parts, the first two of 10 bits; their products with a position of up
 * to 14 bits are exact, whole turns are dropped, and little is left to round.
 */
export function exactAngles(frequencies: readonly number[]): Angles {
  const turns = frequencies.map((frequency) => frequency / (2 * Math.PI));
  const high = turns.map(tenBits);
  const middle = turns.map((turn, k) => tenBits(turn - high[k]!));
  const low = turns.map((turn, k) => turn - high[k]! - middle[k]!);
  return (positions) => {
    const at = expandDims(cast(positions, "float32"), -1);
    const part = (of: readonly number[]) => mul(at, constant(ndarray(of)));
    const fraction = (x: Tensor) => sub(x, floor(x));
    const sum = add(add(fraction(part(high)), fraction(part(middle))), part(low));
    const angle = mul(sum, 2 * Math.PI);
    return { sin: sin(angle), cos: cos(angle) };
  };
}

/**
 * Angles as a float32 product of position and frequency, rounded as PyTorch models round them. Checkpoints trained
 * that way expect it; the difference from {@link exactAngles} grows with the position.
 */
export function roundedAngles(frequencies: readonly number[]): Angles {
  const rounded = ndarray(Float32Array.from(frequencies, (frequency) => 1 / Math.fround(1 / frequency)));
  return (positions) => {
    const angle = mul(expandDims(cast(positions, "float32"), -1), constant(rounded));
    return { sin: sin(angle), cos: cos(angle) };
  };
}

/** The nearest number with ten significant bits. */
function tenBits(x: number): number {
  if (x === 0) return 0;
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(x))) - 9);
  return Math.round(x / unit) * unit;
}
