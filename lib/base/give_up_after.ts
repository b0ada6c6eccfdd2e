/**
 * Deadlines for what somebody else has to do.
 *
 * @module
 */

/**
 * Settles as `work` does. If that takes longer than `timeoutMs`, calls `giveUp`, which ends the work, and rejects with what
 * it returns.
 */
export async function giveUpAfter<Result>(
  timeoutMs: number,
  work: Promise<Result>,
  giveUp: () => Error,
): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(giveUp()), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves with what `work` does, or after `timeoutMs` with undefined; the work then goes on unheard, and must not reject. */
export async function waitAtMost<Result>(
  timeoutMs: number,
  work: Promise<Result>,
): Promise<Result | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => timer = setTimeout(() => resolve(undefined), timeoutMs));
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
