import {
  add,
  cast,
  constant,
  cos,
  div,
  expandDims,
  fromNumbers,
  gather,
  mod,
  mul,
  type NDArray,
  ndarray,
  sin,
  sub,
  type Tensor,
} from "@tsformers/engine";
import * as z from "zod";

/** Sines and cosines of `position · frequency`: positions [...] int32 → two of [..., K]. */
export type Angles = (positions: Tensor) => Waves;

const defaults = { base: 10_000 };

/** The setting for the base of {@link frequencies}. */
export function baseOption(): z.ZodDefault<z.ZodNumber> {
  return z.number().positive().default(defaults.base).describe("longest wavelength is 2π times this");
}

/** `base^(−2k/width)` for k = 0 … width/2 − 1: wavelengths from 2π to 2π·base. */
export function frequencies(width: number, base: number = defaults.base): number[] {
  return Array.from({ length: Math.ceil(width / 2) }, (_, k) => base ** ((-2 * k) / width));
}

/** `base^(−k/(K − 1))` for k = 0 … K − 1, so that the lowest frequency is exactly 1/base, as in Tensor2Tensor. */
export function inclusiveFrequencies(count: number, base: number = defaults.base): number[] {
  return Array.from({ length: count }, (_, k) => base ** (-k / Math.max(count - 1, 1)));
}

/**
 * Angles with sines and cosines nearly as exact as float32 can hold: within 2.1e-7 (7·2⁻²⁵) for positions from −1,048,576 to
 * 1,048,575. A float32 product of position and frequency would have an error of 1e-4 by position 2,000, and be useless by 1,000,000.
 *
 * A position is written with three digits of base 128, `p = 128²·a + 128·b + c`. The waves of each digit come from a table of 128 rows
 * computed in float64, and are combined by `sin(x + y) = sin x·cos y + cos x·sin y`.
 */
export function exactAngles(frequencies: readonly number[]): Angles {
  const [low, middle, high] = [1, base, base ** 2].map((step) => {
    const wave = (of: (angle: number) => number, first: number) => {
      const angles = Array.from({ length: base }, (_, row) => frequencies.map((omega) => (first + row) * step * omega));
      return fromNumbers(angles.flat().map(of), [base, frequencies.length]);
    };
    const first = step === base ** 2 ? -base / 2 : 0;
    return { sin: wave(Math.sin, first), cos: wave(Math.cos, first) };
  }) as [Table, Table, Table];
  const at = ({ sin, cos }: Table, digit: Tensor): Waves => ({ sin: gather(sin, digit), cos: gather(cos, digit) });
  return (positions) => {
    const c = mod(positions, base);
    const rest = div(sub(positions, c), base);
    const b = mod(rest, base);
    const a = div(sub(rest, b), base);
    return sumOf(sumOf(at(high, add(a, base / 2)), at(middle, b)), at(low, c));
  };
}

const base = 128;

type Waves<Leaf = Tensor> = { readonly sin: Leaf; readonly cos: Leaf };
type Table = Waves<NDArray>;

/** Waves of the sum of two angles, from the waves of each. */
function sumOf(x: Waves, y: Waves): Waves {
  return {
    sin: add(mul(x.sin, y.cos), mul(x.cos, y.sin)),
    cos: sub(mul(x.cos, y.cos), mul(x.sin, y.sin)),
  };
}

/**
 * Angles as a float32 product of position and frequency, rounded as in PyTorch models. Checkpoints trained
 * that way need it; the difference from {@link exactAngles} grows with the position.
 */
export function roundedAngles(frequencies: readonly number[]): Angles {
  const rounded = ndarray(Float32Array.from(frequencies, (frequency) => 1 / Math.fround(1 / frequency)));
  return (positions) => {
    const angle = mul(expandDims(cast(positions, "float32"), -1), constant(rounded));
    return { sin: sin(angle), cos: cos(angle) };
  };
}
