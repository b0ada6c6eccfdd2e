/**
 * JSON that is too long to be made within one turn of the event loop.
 *
 * @module
 */
import { anotherTurn } from "./turn.ts";

/** Length of a part, characters: some tenths of a ms. */
const PART_CHARS = 65_536;

/** The text of an array in parts, made one a turn. `textOf` gives the JSON of an item. */
export async function arrayParts<Item>(
  items: Iterable<Item>,
  textOf: (item: Item) => string,
): Promise<string[]> {
  const parts: string[] = [];
  let part = "[";
  let isFirst = true;
  for (const item of items) {
    if (part.length > PART_CHARS) {
      parts.push(part);
      part = "";
      await anotherTurn();
    }
    part += isFirst ? textOf(item) : `,${textOf(item)}`;
    isFirst = false;
  }
  parts.push(`${part}]`);
  return parts;
}
