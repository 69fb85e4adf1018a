/**
 * A square picture made smaller: each new pixel is the mean of the area that it covers, parts of pixels counting in proportion.
 *
 * @shape pixels [side, side, channels] → [size, size, channels], size ≤ side
 */
export function downscaled(pixels: Uint8Array, side: number, size: number, channels = 1): Uint8Array {
  if (size === side) return pixels;
  const shares = Array.from({ length: size }, (_, i) => covered((i * side) / size, ((i + 1) * side) / size));
  const area = (side / size) ** 2;
  const small = new Uint8Array(size * size * channels);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (const [y, height] of shares[row]!)
          for (const [x, width] of shares[column]!)
            sum += height * width * pixels[(y * side + x) * channels + channel]!;
        small[(row * size + column) * channels + channel] = Math.round(sum / area);
      }
    }
  }
  return small;
}

/** The pixels between two places, and how much of each. */
function covered(from: number, to: number): (readonly [pixel: number, share: number])[] {
  const first = Math.floor(from);
  const pixels = Array.from({ length: Math.ceil(to) - first }, (_, i) => first + i);
  return pixels
    .map((pixel) => [pixel, Math.min(pixel + 1, to) - Math.max(pixel, from)] as const)
    .filter(([, share]) => share > 1e-9);
}
