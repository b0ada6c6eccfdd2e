/**
 * Memory for pages of history, of all connections together: the less there is left, the shorter is each page. Nobody waits
 * for somebody who does not read.
 *
 * @module
 */

/** For all pages that are being made or have not been taken yet, characters. */
const ROOM_CHARS = 67_108_864;
/** A page is at most this long, characters … */
const PAGE_MAX_CHARS = 1_048_576;
/** … and may always be this long. */
const PAGE_MIN_CHARS = 16_384;
/** So many pages of the next one's length fit into what is left. */
const PAGES_LEFT = 16;

/** Hands out room. One per node. */
export class PageRoom {
  #taken = 0;

  /** Room for one page; to be given back with {@link release}. */
  take(): number {
    const left = Math.floor((ROOM_CHARS - this.#taken) / PAGES_LEFT);
    const room = Math.min(PAGE_MAX_CHARS, Math.max(PAGE_MIN_CHARS, left));
    this.#taken += room;
    return room;
  }

  /** Gives `room` back. */
  release(room: number): void {
    this.#taken -= room;
  }
}
