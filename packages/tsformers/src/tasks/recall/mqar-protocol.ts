/** Rows of one size: L positions, N pairs, and how many rows of them. */
export type MqarRows = { readonly length: number; readonly pairs: number; readonly rows: number };

/**
 * How MQAR was measured where it was published, as data. A comparison that does less says so.
 *
 * Figure of merit: accuracy against state size (the bytes that a layer keeps of the past), one point a model.
 *
 * @source Arora et al. 2023, "Zoology", arXiv:2312.04927, and the settings in its published code
 */
export const mqarProtocol: {
  readonly vocabulary: number;
  /** Trained on together. */
  readonly train: readonly MqarRows[];
  readonly test: readonly MqarRows[];
  /** Each model is trained with each of them, and the best run counts. */
  readonly learningRates: readonly number[];
  readonly weightDecay: number;
  readonly batchSize: number;
  readonly epochs: number;
  readonly seed: number;
  /** Training ends early at this accuracy. */
  readonly stopAtAccuracy: number;
  readonly model: {
    readonly layers: number;
    readonly feedForward: false;
    readonly positions: "none";
    readonly convolutionWidth: number;
  };
} = {
  vocabulary: 8192,
  train: [
    { length: 64, pairs: 4, rows: 100_000 },
    { length: 128, pairs: 8, rows: 20_000 },
    { length: 256, pairs: 16, rows: 20_000 },
    { length: 256, pairs: 32, rows: 20_000 },
    { length: 256, pairs: 64, rows: 20_000 },
  ],
  test: [
    { length: 64, pairs: 4, rows: 1000 },
    { length: 64, pairs: 8, rows: 1000 },
    { length: 64, pairs: 16, rows: 1000 },
    { length: 128, pairs: 32, rows: 1000 },
    { length: 256, pairs: 64, rows: 1000 },
    { length: 512, pairs: 128, rows: 1000 },
    { length: 1024, pairs: 256, rows: 1000 },
  ],
  // Four rates at equal ratios from 10⁻³ to 10⁻¹·⁵.
  learningRates: [1e-3, 10 ** -2.5, 1e-2, 10 ** -1.5],
  weightDecay: 0.1,
  batchSize: 256,
  epochs: 32,
  seed: 123,
  stopAtAccuracy: 0.99,
  // The convolution is the mixer of the first layer, in a layer of its own; the second layer has the mixer that is measured.
  model: { layers: 2, feedForward: false, positions: "none", convolutionWidth: 3 },
};
