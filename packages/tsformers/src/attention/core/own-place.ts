import type { Plan } from "./plan.ts";

/**
 * Which part of the keys each part in `home` must hold for the blocks of `home` to compute what those of `own` do; undefined where the two plans differ in more
 * than the order of equal parts of the keys. Heads that see different blocks can so be computed together.
 */
export function partsInPlace(home: Plan, own: Plan, keys: number): Int32Array | undefined {
  const [first] = home.blocks;
  const size = (first?.keys[1] ?? 0) - (first?.keys[0] ?? 0);
  if (home.order !== undefined || own.order !== undefined || home.blocks.length !== own.blocks.length) return undefined;
  if (size === 0 || keys % size !== 0) return undefined;
  const parts = new Int32Array(keys / size).fill(-1);
  const alike = home.blocks.every((block, i) => {
    const other = own.blocks[i]!;
    const [at, from] = [block, other].map(({ keys: [start] }) => start! / size) as [number, number];
    const fits = [block, other].every(({ keys, partial }) => {
      const [start, stop] = keys as [number, number];
      return keys.length === 2 && start % size === 0 && stop - start === size && partial === undefined;
    });
    const sameQueries = block.queries[0] === other.queries[0] && block.queries[1] === other.queries[1];
    if (!fits || !sameQueries || (parts[at] !== -1 && parts[at] !== from)) return false;
    parts[at] = from;
    return true;
  });
  return alike && new Set(parts).size === parts.length && !parts.includes(-1) ? parts : undefined;
}
