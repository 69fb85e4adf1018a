import { listedBlocks, type RandomBlocks } from "./bigbird-plan.ts";
import { type NumpyRandom, numpyRandom } from "./numpy-random.ts";
import { expectWhole } from "./span.ts";

export type ReleasedBlocksOptions = {
  /** Positions in a block. */
  readonly block: number;
  /** r: random blocks per block of queries. */
  readonly random: number;
  readonly heads: number;
  /** Index of the layer in the released models. */
  readonly seed: number;
  /** The longest sequence of the model, in positions. Default: 4,096. */
  readonly maxLength?: number;
};

/**
 * The random blocks of the published BigBird models, number for number as Hugging Face draws them in training.
 *
 * They differ from the paper: at lengths 1,024, 3,072 and 4,096 all of them lie in the first 1,024 positions, at others in
 * the first 2r + 5 blocks. Sequences of up to 2r + 5 blocks see everything, since those models fall back to full attention there.
 *
 * @source Zaheer et al. 2020, arXiv:2007.14062, and its released code
 * @differs the TensorFlow code applies the rule of length 1,024 to 2,048 as well, and keeps one draw for training and use
 */
export function releasedBlocks(options: ReleasedBlocksOptions): RandomBlocks {
  const { block, random, heads, seed, maxLength = 4096 } = options;
  for (const name of ["block", "random", "heads"] as const) expectWhole("bigbird", name, options[name], 1);
  return (blocks) => {
    if (blocks <= 2 * random + 5) return [allOthers(blocks)];
    const numbers = numpyRandom(seed);
    if ([1024, 3072, 4096].includes(blocks * block)) {
      const most = Math.floor(maxLength / block);
      const known = Math.floor(1024 / block) - 1;
      const last = 1024 > 2 * block ? known : most - 1;
      return Array.from({ length: heads }, () => [[], ...earlyRows(numbers, most, last, random)].slice(0, blocks - 1));
    }
    return firstBlocks(numbers, blocks, options);
  };
}

/** For each block all blocks that it does not see anyway. */
function allOthers(blocks: number): number[][] {
  const all = Array.from({ length: blocks }, (_, i) => i);
  return all.map((row) => {
    const seen = new Set(listedBlocks(row, blocks, []));
    return all.filter((block) => !seen.has(block));
  });
}

/** Random blocks of rows 1 … most − 2, drawn below block `last`. */
function earlyRows(numbers: NumpyRandom, most: number, last: number, random: number): number[][] {
  const middle = Array.from({ length: most - 2 }, (_, i) => i + 1);
  return middle.map((row) => numbers.permutation(earlyCandidates(row, middle, most, last)).slice(0, random));
}

function earlyCandidates(row: number, middle: readonly number[], most: number, last: number): number[] {
  if (row <= 2) return middle.slice(row + 1, last);
  if (row >= most - 3) return middle.slice(0, last);
  if (row - 2 > last) return middle.slice(0, last);
  if (row + 1 === last) return middle.slice(0, row - 2);
  return [...middle.slice(0, row - 2), ...middle.slice(row + 1, last)];
}

/** Random blocks of all heads, row by row in the order of drawing, all from the first 2r + 5 blocks. */
function firstBlocks(numbers: NumpyRandom, blocks: number, { random, heads }: ReleasedBlocksOptions): number[][][] {
  const table = Array.from({ length: heads }, (): number[][] => [[]]);
  for (let row = 1; row < blocks; row++) for (const own of table) own.push(drawRow(numbers, row, random));
  return table;
}

function drawRow(numbers: NumpyRandom, row: number, random: number): number[] {
  const end = 2 * random + 5;
  const shuffled = numbers.permutation(Array.from({ length: end }, (_, block) => block));
  const excluded = new Set([row - 1, row, row + 1, 0, end - 1]);
  if (row === 1) excluded.add(end - 2);
  if (row === end - 2) excluded.add(1);
  return shuffled.filter((block) => !excluded.has(block)).slice(0, random);
}
