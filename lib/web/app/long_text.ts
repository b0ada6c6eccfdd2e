/**
 * Texts that are longer than one message may be.
 *
 * @module
 */

const encoder = new TextEncoder();
/** More than anybody reads in one piece. */
const MOST_CHARACTERS = 8000;
/** What one character may take at most: "\u0001". */
const CHARACTER_BYTES = 6;

/** What a text takes in a frame, bytes: as JSON it may be six times as long as it looks. */
export function sizeOf(text: string): number {
  return encoder.encode(JSON.stringify(text)).length;
}

/** A text as several, cut at empty lines, and where a piece would take more than `mostBytes` ({@link sizeOf}). */
export function cut(text: string, mostBytes: number): string[] {
  const size = Math.max(1, Math.min(MOST_CHARACTERS, Math.floor(mostBytes / CHARACTER_BYTES) - 1));
  const parts = text.split(/\n\s*\n/).map((part) => part.trim()).filter((part) => part !== "");
  return parts.flatMap((part) => {
    const characters = [...part];
    const count = Math.ceil(characters.length / size);
    return Array.from(
      { length: count },
      (_, index) => characters.slice(index * size, (index + 1) * size).join(""),
    );
  });
}
