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

/** The part of a queue that belongs to one device: after `close`, which runs once, it takes no work. */
export function untilClosed(name: string, inOrder: InOrder): { inOrder: InOrder; close: typeof inOrder<void> } {
  let closed = false;
  return {
    inOrder: (work) =>
      inOrder(() => {
        if (closed) throw closedError(name);
        return work();
      }),
    close: (work) =>
      inOrder(async () => {
        if (closed) return;
        closed = true;
        await work();
      }),
  };
}

export function closedError(name: string): Error {
  return new Error(`${name}: the device was closed; open it again`);
}
