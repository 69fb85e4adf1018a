import type { Device } from "@tsformers/engine";
import { exactSearch, fingerprintOf, mixingDecoder, openDatastore, requireOwnStore } from "../retrieval/index.ts";
import type { Mixing } from "../run/open-generator.ts";
import type { OpenedModel } from "../run/open-model.ts";

/** The published numbers: λ and, as far as there are entries, k. */
const [usualLambda, usualNeighbours] = [0.25, 1024];

/**
 * Opens a datastore that a decoder is mixed with.
 *
 * @throws Error when it is damaged, or that of another model
 */
export async function openMixing(
  opened: OpenedModel,
  device: Device,
  choice: { readonly store: string; readonly nearest?: number; readonly lambda?: number },
): Promise<{ readonly mixing: Mixing; release(): Promise<void> }> {
  const store = await openDatastore(choice.store);
  const search = exactSearch(store, { device });
  const release = async () => {
    await search.release();
    await store.close();
  };
  try {
    requireOwnStore(store, fingerprintOf(opened.params));
    const { lambda = usualLambda, nearest = Math.min(usualNeighbours, store.record.entries) } = choice;
    return { mixing: (decoder) => mixingDecoder(decoder, search, { lambda, neighbours: nearest }), release };
  } catch (error) {
    await release();
    throw error;
  }
}
