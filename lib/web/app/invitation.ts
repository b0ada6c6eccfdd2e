/**
 * Links into a group, as people send them to one another: an address of this page. What stands behind "#" goes to no server,
 * and into no log, by itself.
 *
 * @module
 */

const SIGN = "#join-";

/** The address at which somebody joins by `link`. `page`: the address of this page, without what is behind "#". */
export function invitationOf(link: string, page: string): string {
  return `${page}${SIGN}${encodeURIComponent(link)}`;
}

/**
 * The link in an address, or in the part of one from "#" on; undefined where there is none.
 *
 * @example
 * ```ts
 * import { linkIn } from "./invitation.ts";
 * linkIn("https://chat.example/#join-Zk3vQy0p7mXeB1nT5rWc9A"); // "Zk3vQy0p7mXeB1nT5rWc9A"
 * linkIn("#u1-2"); // undefined
 * ```
 */
export function linkIn(address: string): string | undefined {
  const at = address.indexOf(SIGN);
  if (at < 0) return undefined;
  try {
    return decodeURIComponent(address.slice(at + SIGN.length)) || undefined;
  } catch {
    return undefined; // No address of ours.
  }
}
