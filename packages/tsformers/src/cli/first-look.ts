const positions = ["sinusoidal", "rotary", "t5", "alibi"];
const mixers = ["softmax", "linear", "delta-net"];

/** Enough for what can be learned within the time of a first look. */
const recall = { length: 32, steps: 400, learningRate: 4e-3 };

/**
 * What `tsformers compare` does when nothing is asked for, within two minutes: how position schemes read on beyond the training length, and a task
 * of recall, on which mechanisms differ.
 */
export const firstLook: Readonly<Record<string, unknown>> = {
  compare: {
    seeds: 1,
    variants: [
      ...positions.map((position) => ({ task: "text", steps: 400, model: { position } })),
      ...mixers.map((mixer) => ({ task: "selective-copy", ...recall, model: { mixer, position: "rotary" } })),
    ],
  },
};
