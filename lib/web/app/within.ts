/**
 * Waits that end.
 *
 * @module
 */

/** Waits for `work`, but no longer than `timeoutMs`; true when it was done by then. */
export async function within(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), timeoutMs);
  try {
    return await Promise.race([work.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
