/**
 * What `tsformers compare` does when nothing is asked for, within two minutes: how position schemes read on beyond the training length, and a task
 * of recall, on which mechanisms differ.
 */
export const firstLook: Readonly<Record<string, unknown>> = {
  compare: {
    seeds: 1,
    variants: [
      ...["sinusoidal", "rotary", "t5", "alibi"].map((position) => ({ task: "text", model: { position } })),
      ...["softmax", "linear", "performer", "delta-net"].map((mixer) => ({ task: "recall", model: { mixer } })),
    ],
  },
};
