/**
 * What somebody who has mistyped a word may have meant.
 *
 * @module
 */

/**
 * The one of `words` that takes the fewest letters added, left out or replaced.
 *
 * ```ts
 * nearestTo("clinet", ["serve", "client"]); // "client"
 * ```
 */
export function nearestTo(word: string, words: readonly string[]): string {
  const [[nearest] = [""]] = words.map((one) => [one, distance(word, one)] as const).sort(([, a], [, b]) =>
    a - b
  );
  return nearest;
}

/** Levenshtein's, row by row. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let i = 1; i <= from.length; i++) {
    const above = row;
    row = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (above[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
  }
  return row.at(-1) ?? 0;
}
