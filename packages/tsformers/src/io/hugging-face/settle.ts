import { convert, type StoredTensor, shapesEqual } from "@tsformers/engine";
import type { Format, SharedArray } from "./format.ts";

/** The arrays of a file under the names of the full model. */
export type SettledArrays = {
  /** Every name of a {@link SharedArray} is still present. */
  readonly arrays: Map<string, StoredTensor>;
  readonly ownHead: boolean;
  readonly notes: readonly string[];
};

/**
 * Renames a file's arrays to the names of the full model: handles missing prefixes, older names, and several names of one
 * array.
 *
 * @throws Error when two names mean the same array but their elements differ, and when a buffer of zeros holds something else
 */
export async function settleNames(
  format: Format,
  tensors: ReadonlyMap<string, StoredTensor>,
  source: string,
): Promise<SettledArrays> {
  const fullName = fullNames(format, [...tensors.keys()]);
  const arrays = new Map<string, StoredTensor>();
  for (const [name, tensor] of tensors) {
    if (format.zeros?.test(name)) {
      await requireZeros(name, tensor, source);
      continue;
    }
    const full = fullName(name);
    if (arrays.has(full)) throw new Error(`${source}: holds ${full} twice, under another name too`);
    arrays.set(full, tensor);
  }
  const notes: string[] = [];
  let ownHead = false;
  for (const shared of format.shared ?? []) {
    const different = await differing(shared, arrays);
    if (different === undefined) continue;
    const { name, original } = different;
    if (name === shared.head) ownHead = true;
    else if (shared.first === undefined) {
      throw new Error(
        `${source}: ${name} and ${original} must be one array in ${format.modelType}, but the two differ`,
      );
    }
    notes.push(`${source}: ${name} differs from ${original}; the output takes ${shared.head ?? shared.first}`);
  }
  return { arrays, ownHead, notes };
}

async function requireZeros(name: string, tensor: StoredTensor, source: string): Promise<void> {
  const { data } = convert(await tensor.read(), "float32");
  if (data.some((value) => value !== 0))
    throw new Error(`${source}: ${name} is not 0 throughout, as it must be in this family`);
}

/** Of each array with several names, keeps those that the rules of a built architecture ask for. */
export function dropSharedNames(
  { shared = [], ignored }: Format,
  arrays: ReadonlyMap<string, StoredTensor>,
  known: ReadonlySet<string>,
): Map<string, StoredTensor> {
  const kept = new Map([...arrays].filter(([name]) => known.has(name) || ignored?.test(name) !== true));
  for (const { names, head, first } of shared) {
    // A separate output matrix is another array, not an alias.
    const alike = names.filter((name) => name !== head || !known.has(name));
    const present = alike.filter((name) => arrays.has(name));
    const source = present.find((name) => name === first) ?? present[0];
    for (const name of alike) {
      if (!known.has(name)) kept.delete(name);
      else if (source !== undefined && (first !== undefined || !arrays.has(name))) kept.set(name, arrays.get(source)!);
    }
  }
  return kept;
}

/** Arrays outside the bare model, which have no prefix. */
const outsideBody = /^(lm_head|lm_loss|embed_out|cls|predictions|sop_classifier)\./;

function fullNames({ prefix = "", renamed = {} }: Format, names: readonly string[]): (name: string) => string {
  const bare = !names.some((name) => name.startsWith(prefix));
  return (name) => {
    const older = Object.keys(renamed).find((theirs) => name === theirs || name.endsWith(`.${theirs}`));
    const own = older === undefined ? name : name.slice(0, name.length - older.length) + renamed[older]!;
    return bare && !outsideBody.test(own) ? prefix + own : own;
  };
}

/** The first two names whose elements are not the same. */
async function differing(
  { names, head }: SharedArray,
  arrays: ReadonlyMap<string, StoredTensor>,
): Promise<{ name: string; original: string } | undefined> {
  const present = names.filter((name) => arrays.has(name));
  // A head that differs is not an error, so the others are compared first.
  const [original, ...others] = present.sort((a, b) => Number(a === head) - Number(b === head));
  if (original === undefined || others.length === 0) return undefined;
  const expected = arrays.get(original)!;
  const elements = convert(await expected.read(), "float32").data;
  for (const name of others) {
    const other = arrays.get(name)!;
    if (!shapesEqual(other.shape, expected.shape)) return { name, original };
    const { data } = convert(await other.read(), "float32");
    if (data.some((value, i) => value !== elements[i])) return { name, original };
  }
  return undefined;
}
