/**
 * Hides the passwords in URLs that go into a log or an error text.
 *
 * @module
 */

/**
 * Replaces the password of a URL, and query parameters that look like one, by `***`. Works on broken URLs too, then
 * hiding rather too much: an error text is most likely to quote those.
 *
 * ```ts
 * redactUrl("mysql://root:secret@db:3306/chat"); // "mysql://root:***@db:3306/chat"
 * ```
 */
export function redactUrl(url: string): string {
  return url
    // Up to the last @, and from the first colon: a raw password may itself hold @, : and /.
    .replace(/^(.*?:\/\/)?([^:@/]*):(?!\/\/).*@/s, "$1$2:***@")
    .replace(/([?&](?:\w*(?:pass|pwd|secret|token)\w*)=)[^&#]*/gi, "$1***");
}
