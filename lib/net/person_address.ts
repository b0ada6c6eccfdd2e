/**
 * Whose address a connection comes from, where limits go by address: that of a person's household, or nobody's.
 *
 * Whoever has an IPv6 address has at least the 2^64 of its network, so these are one. Loopback and the proxies' own
 * addresses are no person's: behind them may be anybody, and what is limited there is limited for all.
 *
 * @module
 */
import { isIPv4, isIPv6 } from "node:net";
import type { Proxies } from "./proxies.ts";

/**
 * What limits go by: an IPv4 address, or the /64 network of an IPv6 address. Undefined when `address` is no person's.
 *
 * ```ts
 * import { personAddress } from "./person_address.ts";
 * import { Proxies } from "./proxies.ts";
 *
 * personAddress("2001:db8::7", new Proxies([])); // "2001:db8:0:0::/64"
 * ```
 */
export function personAddress(address: string, proxies: Pick<Proxies, "trusts">): string | undefined {
  if (proxies.trusts(address)) return undefined;
  if (isIPv4(address)) return ipv4Person(address);
  const [plain = ""] = address.split("%");
  return isIPv6(plain) ? ipv6Person(plain) : undefined;
}

function ipv4Person(address: string): string | undefined {
  return address.startsWith("127.") ? undefined : address;
}

function ipv6Person(address: string): string | undefined {
  const groups = groupsOf(address);
  if (groups.slice(0, 5).every((group) => group === 0)) {
    // ::ffff:192.0.2.1 is how a socket that listens on IPv6 sees an IPv4 peer; ::1 is loopback.
    if (groups[5] === 0xffff) {
      return ipv4Person(groups.slice(6).flatMap((group) => [group >> 8, group & 255]).join("."));
    }
    if (groups.slice(5).join() === "0,0,1") return undefined;
  }
  return `${groups.slice(0, 4).map((group) => group.toString(16)).join(":")}::/64`;
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): number[] {
  // In the usual spelling there is no dotted part any more.
  const { hostname } = new URL(`http://[${address}]`);
  const [before = [], after = []] = hostname.slice(1, -1).split("::").map((part) =>
    part === "" ? [] : part.split(":")
  );
  const zeros = new Array<string>(8 - before.length - after.length).fill("0");
  return [...before, ...zeros, ...after].map((group) => parseInt(group, 16));
}
