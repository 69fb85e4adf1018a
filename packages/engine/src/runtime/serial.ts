/** Takes work and starts it when everything given before is done. A failure concerns its own caller only. */
export type InOrder = <T>(work: () => Promise<T>) => Promise<T>;

/** A queue of one: ONNX Runtime in the browser refuses a second `run` while one is under way. */
export function serial(): InOrder {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
}
