/** Student's t distribution: its tails and quantiles, for any number of degrees of freedom above 0. */

/**
 * The probability of a value as far from 0 as `t` on either side, `P(|T| ≥ |t|) = I_x(ν/2, ½)` with `x = ν / (ν + t²)`.
 *
 * @param freedom ν, degrees of freedom; need not be whole
 */
export function bothTails(t: number, freedom: number): number {
  if (!(freedom > 0)) throw new RangeError(`degrees of freedom: expected a number above 0, got ${freedom}`);
  if (Number.isNaN(t)) return Number.NaN;
  // Far out t² overflows, and the tail is 0 there.
  const square = t * t;
  if (!Number.isFinite(square)) return 0;
  return betaShare(freedom / (freedom + square), square / (freedom + square), freedom / 2, 0.5);
}

/**
 * The value that is exceeded with probability `(1 − level) / 2`: half the width of an interval in standard errors. For `level` 0.95 it is 12.706
 * with one degree of freedom, 4.303 with two, 1.960 with very many.
 */
export function criticalT(level: number, freedom: number): number {
  if (!(level > 0 && level < 1)) throw new RangeError(`level: expected a number between 0 and 1, got ${level}`);
  const outside = 1 - level;
  let [low, high] = [0, 1];
  while (bothTails(high, freedom) > outside) [low, high] = [high, high * 2];
  while (high - low > 1e-12 * high) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) break;
    if (bothTails(middle, freedom) > outside) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * The regularised incomplete beta function `I_x(a, b)`.
 *
 * @param rest 1 − x, given apart because it may be too small to be had from x
 */
function betaShare(x: number, rest: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (rest <= 0) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(rest));
  // The fraction converges fast on the side of the mean; the other side follows by symmetry.
  return x < (a + 1) / (a + b + 2) ? (front * fraction(x, a, b)) / a : 1 - (front * fraction(rest, b, a)) / b;
}

/**
 * The continued fraction of the incomplete beta function, from its first term on (Lentz's method).
 *
 * @source NIST Digital Library of Mathematical Functions, §8.17(v), equation 8.17.22
 */
function fraction(x: number, a: number, b: number): number {
  const tiny = 1e-300;
  const away = (value: number) => (Math.abs(value) < tiny ? tiny : value);
  let [c, d] = [1, 1 / away(1 - ((a + b) * x) / (a + 1))];
  let result = d;
  for (let m = 1; m <= 10_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    let step = 1;
    for (const term of [even, odd]) {
      d = 1 / away(1 + term * d);
      c = away(1 + term / c);
      step = c * d;
      result *= step;
    }
    if (Math.abs(step - 1) < 1e-15) break;
  }
  return result;
}

/** ln Γ(x) for x > 0: Stirling's series, after x was raised to where five of its terms give all digits. */
function logGamma(x: number): number {
  let [z, lower] = [x, 0];
  for (; z < 10; z++) lower += Math.log(z);
  const inverse = 1 / (z * z);
  const series =
    (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse * (1 / 1680 - inverse * (1 / 1188))))) / z;
  return (z - 0.5) * Math.log(z) - z + Math.log(2 * Math.PI) / 2 + series - lower;
}
