const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** IEEE 754 half-precision bits of a number, rounded to nearest even; overflow gives infinity. */
export function toHalf(value: number): number {
  float[0] = value;
  let x = bits[0]!;
  if (float[0] !== value) {
    // Rounding to float32 first and to half afterwards would round twice: truncate instead, and record that bits were lost.
    if (Math.abs(float[0]) > Math.abs(value)) x--;
    x |= 1;
  }
  const sign = (x >>> 16) & 0x8000;
  const exponent = (x >>> 23) & 0xff;
  const mantissa = x & 0x7fffff;
  if (exponent === 0xff) return sign | 0x7c00 | (mantissa ? 0x200 : 0);
  const shifted = exponent - 112;
  if (shifted >= 31) return sign | 0x7c00;
  if (shifted <= 0) {
    if (shifted < -10) return sign;
    return sign | roundToEven((mantissa | 0x800000) >>> 0, 14 - shifted);
  }
  return sign | roundToEven(((shifted << 23) | mantissa) >>> 0, 13);
}

/** The number with the given half-precision bits. */
export function fromHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

function roundToEven(x: number, shift: number): number {
  const half = 2 ** (shift - 1);
  const rest = x & (2 ** shift - 1);
  const kept = x >>> shift;
  return rest > half || (rest === half && kept & 1) ? kept + 1 : kept;
}
