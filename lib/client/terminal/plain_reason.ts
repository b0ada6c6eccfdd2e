/**
 * What went wrong, in words for people who do not read error numbers.
 *
 * @module
 */

import { errorText } from "../../base/errors.ts";

/** Failures of sockets and TLS, by the codes and texts that the runtime gives them. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, "no server runs at that address"],
  [/ECONNRESET|ECONNABORTED|EPIPE|UnexpectedEof/, "the connection was cut"],
  [/ETIMEDOUT|TimedOut/, "there is no answer"],
  [/EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL/, "no way leads there from this machine"],
  [/EHOSTDOWN|ENETDOWN/, "the network is down"],
  [/Temporary failure in name resolution/, "its name cannot be looked up at the moment"],
  [/failed to lookup address|invalid host/, "no machine of that name is known"],
  [/corrupt message/, "the server does not speak TLS on that port"],
  [
    /certificate: UnknownIssuer/,
    "its certificate is by nobody whom this client trusts; --tls-ca names whom to trust",
  ],
  [/certificate: Expired|certificate expired/, "its certificate has expired"],
  [/certificate: NotValidForName|certificate not valid for name/, "its certificate is for another name"],
];

/** Numbers of the operating system, and behind them which call failed on which path: the caller names the path. */
const TECHNICAL = / \(os error \d+\)(: \w+ '.*')?/g;

/** The reason of a failure. What is not known here is said as it came, without what only programmers understand. */
export function plainReason(error: unknown): string {
  const text = errorText(error);
  if (!(error instanceof Error)) return text;
  const signs = `${"code" in error ? error.code : ""} ${error.name} ${text}`;
  const known = REASONS.find(([sign]) => sign.test(signs));
  return known?.[1] ?? text.replace(TECHNICAL, "");
}
