import proofs from "../systems/proofs.json" with { type: "json" };

/** What proves a system: made by `npm run docs` from the results of tests and examples. */
export type Proof = {
  /** Laws that pass for the parts it is made of. */
  readonly laws: number;
  /** Fixtures of reference implementations that it agrees with. */
  readonly fixtures: number;
  /** What its example reached, and a plain model of equal size. */
  readonly ours: number;
  readonly plain: number;
  readonly better: string;
  readonly measure: string;
  /** What the example tells of this system alone, where it proves several together. */
  readonly own?: string;
};

/** @param name a system. Undefined for one that nothing was recorded of yet */
export function proofOf(name: string): Proof | undefined {
  const all: Readonly<Record<string, Proof>> = proofs;
  return Object.hasOwn(all, name) ? all[name] : undefined;
}

/** `16 laws, 1 fixture; 0.485 against 0.5495 of a plain model (bits per character; less is better)`. */
export function proofText({ laws, fixtures, ours, plain, better, measure, own }: Proof): string {
  const references = fixtures === 0 ? "" : `, ${fixtures} ${fixtures === 1 ? "fixture" : "fixtures"}`;
  if (own !== undefined) return `${laws} laws${references}; ${own}`;
  return `${laws} laws${references}; ${ours} against ${plain} of a plain model (${measure}; ${better} is better)`;
}
