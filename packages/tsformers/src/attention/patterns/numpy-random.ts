/** The part of NumPy's legacy random generator that the published random plans were drawn with. */
export type NumpyRandom = {
  /** Same result as `np.random.permutation(items)`. */
  permutation(items: readonly number[]): number[];
};

const size = 624;
const middle = 397;

/**
 * Same numbers as after `np.random.seed(seed)`: the Mersenne Twister MT19937, and shuffling from the last element down, where
 * draws above the index are rejected.
 *
 * @source Matsumoto & Nishimura 1998, "Mersenne Twister"
 */
export function numpyRandom(seed: number): NumpyRandom {
  const state = new Uint32Array(size);
  state[0] = seed;
  for (let i = 1; i < size; i++) {
    const last = state[i - 1]!;
    state[i] = Math.imul(1812433253, last ^ (last >>> 30)) + i;
  }
  let at = size;

  const twist = () => {
    for (let i = 0; i < size; i++) {
      const word = (state[i]! & 0x80000000) | (state[(i + 1) % size]! & 0x7fffffff);
      state[i] = state[(i + middle) % size]! ^ (word >>> 1) ^ (word & 1 ? 0x9908b0df : 0);
    }
    at = 0;
  };
  const next = (): number => {
    if (at === size) twist();
    let word = state[at++]!;
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  };
  /** A uniform random whole number in 0 … most. */
  const upTo = (most: number): number => {
    const mask = 2 ** Math.ceil(Math.log2(most + 1)) - 1;
    for (;;) {
      const value = (next() & mask) >>> 0;
      if (value <= most) return value;
    }
  };

  return {
    permutation: (items) => {
      const shuffled = [...items];
      for (let i = shuffled.length - 1; i > 0; i--) {
        const j = upTo(i);
        [shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!];
      }
      return shuffled;
    },
  };
}
