/** What users may do, in tests of something else, or of one of the limits. */
import { type RateOptions, RATES } from "../../lib/chat/quotas.ts";

/** Options of measures that are all off, but those that are given. */
export function ratesOf(given: Partial<RateOptions> = {}): RateOptions {
  const off = Object.fromEntries(Object.values(RATES).map(({ option }) => [option, 0]));
  return { ...off as Record<keyof RateOptions, number>, ...given };
}
