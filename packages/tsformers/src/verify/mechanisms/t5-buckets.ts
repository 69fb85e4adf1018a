import { constant, fromNumbers } from "@tsformers/engine";
import * as z from "zod";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { bidirectionalBuckets, causalBuckets } from "../../position/t5-bias.ts";

const options = z.strictObject({
  num_buckets: z.int().positive(),
  max_distance: z.int().positive(),
  bidirectional: z.boolean(),
});

/** T5: the buckets of distances key − query. */
export const t5Buckets: Mechanism = {
  run(_, given, { relative_position: distances }) {
    const { num_buckets: buckets, max_distance: maxDistance, bidirectional } = options.parse(given);
    const bucketOf = (bidirectional ? bidirectionalBuckets : causalBuckets)({ buckets, maxDistance });
    return { out: constant(fromNumbers(distances!.toNumbers().map(bucketOf), distances!.shape, "int32")) };
  },
};
