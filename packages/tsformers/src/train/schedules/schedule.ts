/**
 * A learning rate as a function of the update's number. Updates are numbered from 1; every schedule is also defined at 0.
 *
 * Schedules are evaluated outside the training graph and passed in as a number, so changing one needs no recompilation.
 */
export type Schedule = (step: number) => number;

/** @throws RangeError for a rate that is negative or not finite */
export function requireRate(caller: string, name: string, rate: number): void {
  if (!(rate >= 0 && Number.isFinite(rate))) {
    throw new RangeError(`${caller}: ${name} must be a finite number ≥ 0, got ${rate}`);
  }
}
