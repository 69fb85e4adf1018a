/**
 * Works on items, at most `width` at a time, in their order.
 *
 * @param work returns `false` to begin no further item; those at work are finished
 * @throws the first error of `work`, when those at work have ended
 */
export async function pool<Item>(
  items: Iterable<Item>,
  width: number,
  work: (item: Item) => Promise<boolean>,
): Promise<void> {
  const left = items[Symbol.iterator]();
  let goesOn = true;
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    while (goesOn) {
      const next = left.next();
      if (next.done === true) return;
      try {
        if (!(await work(next.value))) goesOn = false;
      } catch (error) {
        failures.push(error);
        goesOn = false;
      }
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  if (failures.length > 0) throw failures[0];
}
