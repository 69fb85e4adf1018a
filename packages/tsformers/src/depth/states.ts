import {
  type Concrete,
  constant,
  flatten,
  foldIn,
  greater,
  isNdArray,
  isTensor,
  mapTree,
  type NDArray,
  type RandomKey,
  reshape,
  slice,
  type Tensor,
  where,
} from "@tsformers/engine";
import { emptyCacheOf } from "../blocks/block.ts";
import type { BlockTraits, DecodePlace, Slots, StackState } from "../kinds/index.ts";

/** Whether all layers keep keys and values: then any number of positions is read in one pass. */
export function readsInPasses(layers: readonly BlockTraits[]): boolean {
  return layers.every(({ cacheShape }) => cacheShape !== undefined);
}

/**
 * The decode state of each layer before the first position.
 *
 * @param options.slots for each layer, how many keys and values it keeps if it is those that it keeps. Default: `capacity`
 * @param options.training the layers' training state, by number
 * @throws TypeError for a layer that cannot go on position by position
 */
export function startDecoding(
  layers: readonly BlockTraits[],
  options: {
    readonly batch: number;
    readonly capacity: number;
    readonly slots?: readonly number[] | undefined;
    readonly training?: Readonly<Record<string, unknown>> | undefined;
  },
): readonly unknown[] {
  const { batch, capacity, slots, training } = options;
  return layers.map((layer, i) => {
    if (layer.cacheShape !== undefined) return emptyCacheOf(layer, batch, slots?.[i] ?? capacity);
    if (layer.startDecoding === undefined)
      throw new TypeError(`${layer.mixer.name}: cannot go on position by position, so the model cannot generate`);
    return layer.startDecoding(batch, capacity, training?.[i]);
  });
}

/** The empty memory of each layer, `undefined` for those without one; nothing when no layer has any. */
export function startSegments(layers: readonly BlockTraits[], batch: number): readonly unknown[] | undefined {
  if (layers.every(({ segment }) => segment === undefined)) return undefined;
  return layers.map(({ segment }) => segment?.init(batch));
}

/** The training state of the layers that have one; nothing when none has. */
export function startTraining(
  layers: readonly BlockTraits[],
  key: RandomKey,
): Concrete<NonNullable<StackState["training"]>> | undefined {
  const starts = layers.flatMap(({ initTrainingState }, i) =>
    initTrainingState === undefined ? [] : [[i, initTrainingState(foldIn(key, i))]],
  );
  return starts.length === 0 ? undefined : Object.fromEntries(starts);
}

/** What each layer is told of where decoding stands. */
export function placeOfLayer(decode: {
  readonly position: Tensor;
  readonly slots?: readonly Slots[] | undefined;
}): (layer: number) => DecodePlace {
  return (layer) => ({ position: decode.position, slots: decode.slots?.[layer] });
}

/** Inside the trace: memories of rows that begin with a document start again. */
export function resetRows(
  layers: readonly BlockTraits[],
  { layers: memories, fresh }: { readonly layers: readonly unknown[]; readonly fresh?: Tensor },
): readonly unknown[] {
  if (fresh === undefined) return memories;
  const first = fresh.shape.length === 1 ? fresh : slice(fresh, 1, 0, 1);
  return memories.map((memory, i) => {
    const { segment } = layers[i]!;
    if (segment === undefined) return memory;
    if (segment.restart !== undefined) return segment.restart(memory, greater(fresh, 0));
    const starts: NDArray[] = flatten(segment.init(fresh.shape[0]!), isNdArray).leaves;
    let next = 0;
    return mapTree(memory, isTensor, (leaf) => {
      const rows = reshape(greater(first, 0), [-1, ...leaf.shape.slice(1).map(() => 1)]);
      return where(rows, constant(starts[next++]!), leaf);
    });
  });
}
