/**
 * Addresses of the page that bring a code along, as operators and members of groups send them to people. What stands behind "#" goes to no server,
 * and into no log, by itself.
 *
 * @module
 */

/** What the code is for: to sign up, to choose another password, or to join a group. */
export type PageLinkKind = "invite" | "reset" | "join";

/** A code in an address. */
export interface PageLink {
  /** What it is for. */
  kind: PageLinkKind;
  /** As the server, or an operator's command, made it. */
  code: string;
}

/**
 * The address at which the page takes a code. `page`: the address of the page, without what is behind "#".
 *
 * @example
 * ```ts
 * import { pageLink } from "./page_links.ts";
 * pageLink("https://chat.example/", { kind: "reset", code: "7K2QM-2XPD9-RTAWZ-3C0VB" });
 * // "https://chat.example/#reset-7K2QM-2XPD9-RTAWZ-3C0VB"
 * ```
 */
export function pageLink(page: string, { kind, code }: PageLink): string {
  return `${page}#${kind}-${code}`;
}

/** The code in an address, or in the part of one from "#" on; undefined where there is none. */
export function readPageLink(address: string): PageLink | undefined {
  const [, kind, code = ""] = /#(invite|reset|join)-([\w-]{1,64})$/.exec(address) ?? [];
  return kind === "invite" || kind === "reset" || kind === "join" ? { kind, code } : undefined;
}
