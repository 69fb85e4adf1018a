/**
 * The Set Transformer's baseline: networks that read each element by itself, and the mean of what they give. A position that sees itself alone
 * makes no use of queries and keys.
 */
export const meanOfElements = {
  kind: "bert",
  layers: 3,
  modelWidth: 64,
  heads: 4,
  ffnWidth: 224,
  position: { kind: "none" },
  pattern: { kind: "window", before: 0, after: 0 },
};

/** Its parameters that are not in use: those of queries and keys. */
export const idleParameters: number =
  meanOfElements.layers * 2 * (meanOfElements.modelWidth + 1) * meanOfElements.modelWidth;
