/**
 * Says how far long work is: a line of percent every so often, none for work that is soon done.
 *
 * @param everyMs Default: 10 s
 */
export function paced(
  log: (text: string) => void,
  what: string,
  everyMs = 10_000,
): (done: number, all: number) => void {
  let lastMs = Date.now();
  return (done, all) => {
    if (Date.now() - lastMs < everyMs) return;
    lastMs = Date.now();
    log(`${what}: ${Math.floor((100 * done) / all)} %`);
  };
}
