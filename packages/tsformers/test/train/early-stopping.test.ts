import { describe, expect, it } from "vitest";

import { type EarlyStoppingState, earlyStopping } from "../../src/train/early-stopping.ts";

const run = (losses: number[], options: { patience: number; minimumGain?: number }): EarlyStoppingState[] => {
  const stopping = earlyStopping(options);
  const states = [stopping.init];
  losses.forEach((loss, index) => {
    states.push(stopping.update(states.at(-1)!, index + 1, loss));
  });
  return states.slice(1);
};

describe("earlyStopping", () => {
  it("stops after as many evaluations without improvement as its patience", () => {
    const states = run([3, 2, 2, 2.5, 2], { patience: 3 });
    expect(states.map(({ stop }) => stop)).toEqual([false, false, false, false, true]);
    expect(states.at(-1)!.best).toEqual({ step: 2, loss: 2 });
  });

  it("starts waiting anew at each improvement", () => {
    expect(run([3, 4, 2, 4, 1], { patience: 2 }).map(({ waited }) => waited)).toEqual([0, 1, 0, 1, 0]);
  });

  it("takes a gain for one only when it is large enough", () => {
    expect(run([3, 2.95, 2.89], { patience: 5, minimumGain: 0.1 }).map(({ best }) => best!.step)).toEqual([1, 1, 3]);
  });

  it("never takes NaN for an improvement", () => {
    const states = run([Number.NaN, 3, Number.NaN], { patience: 2 });
    expect(states.map(({ best }) => best?.loss)).toEqual([undefined, 3, 3]);
  });

  it("survives JSON, as in a checkpoint", () => {
    const stopping = earlyStopping({ patience: 2 });
    const state = JSON.parse(JSON.stringify(stopping.update(stopping.init, 1, 3)));
    expect(stopping.update(state, 2, 4)).toEqual({ best: { step: 1, loss: 3 }, waited: 1, stop: false });
  });

  it("refuses a patience below 1", () => expect(() => earlyStopping({ patience: 0 })).toThrow(/patience/));
});
