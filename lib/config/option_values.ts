/**
 * What the text of an option can be: each function takes the text and returns its value, or throws an Error whose
 * message goes on after the quoted text: `"abc" is not a port`.
 *
 * @module
 */

import { parseRedisUrl } from "../cluster/redis_url.ts";
import { parseMysqlUrl } from "../store/mysql_url.ts";
import { isIP, isIPv6 } from "node:net";

/** Turns the text of an option into its value. */
export type ParseValue<Value> = (text: string) => Value;

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number): ParseValue<number> {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (!(value >= min && value <= max)) throw new Error(`is not a whole number from ${min} to ${max}`);
    return value;
  };
}

/** A TCP or UDP port; 0 takes a free one. */
export function port(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (!(value <= 65535)) throw new Error("is not a port (0 to 65535)");
  return value;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A length of time, in seconds or with a unit (`500ms`, `30s`, `5m`, `12h`, `30d`), as milliseconds. */
export function duration(min: string, max: string): ParseValue<number> {
  const [minMs, maxMs] = [milliseconds(min), milliseconds(max)];
  return (text) => {
    const value = milliseconds(text);
    if (!(value >= minMs && value <= maxMs)) {
      throw new Error(
        `is not a time from ${min} to ${max}, in seconds or with a unit (500ms, 30s, 5m, 12h, 30d)`,
      );
    }
    return value;
  };
}

function milliseconds(text: string): number {
  const [, amount, unit = "s"] = text.match(/^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)?$/) ?? [];
  return amount === undefined ? NaN : Math.round(Number(amount) * (UNIT_MS[unit] ?? NaN));
}

/** A number of bytes, also as `64K` or `1M`. */
export function bytes(min: number, max: number): ParseValue<number> {
  return (text) => {
    const [, amount, unit] = text.match(/^(\d{1,12})([KM])?$/) ?? [];
    const value = Number(amount ?? NaN) * (unit === "M" ? 1024 ** 2 : unit === "K" ? 1024 : 1);
    if (!(value >= min && value <= max)) {
      throw new Error(`is not a number of bytes from ${min} to ${max} (64K and 1M are understood)`);
    }
    return value;
  };
}

/** The same, or 0 for none. */
export function bytesOrNone(min: number, max: number): ParseValue<number> {
  const parse = bytes(min, max);
  return (text) => text === "0" ? 0 : parse(text);
}

/** One of a few words. */
export function oneOf<Word extends string>(words: readonly Word[]): ParseValue<Word> {
  return (text) => {
    const word = words.find((one) => one === text);
    if (word === undefined) throw new Error(`is not one of ${words.join(", ")}`);
    return word;
  };
}

/** Yes or no, as an environment variable says it. */
export function yesOrNo(text: string): boolean {
  if (/^(true|yes|on|1)$/i.test(text)) return true;
  if (/^(false|no|off|0)$/i.test(text)) return false;
  throw new Error("is neither true nor false");
}

/** A text of 1 to `max` characters. */
export function characters(max: number): ParseValue<string> {
  return (text) => {
    const { length } = [...text];
    if (length < 1 || length > max) throw new Error(`is not a text of 1 to ${max} characters`);
    return text;
  };
}

/** The path of a file or folder. */
export function path(text: string): string {
  if (text.includes("\0")) throw new Error("is not a path");
  return text;
}

/** A host name or an IP address; an IPv6 address may stand in brackets. */
export function host(text: string): string {
  const name = text.replace(/^\[(.*)\]$/, "$1");
  if (isIPv6(name) || /^[\w.-]+$/.test(text)) return name;
  throw new Error("is not a host name or IP address");
}

/** A host and a port. */
export interface HostPort {
  /** Host name or IP address, without brackets. */
  host: string;
  /** 0 takes a free one. */
  port: number;
}

/** `HOST:PORT`, or `[::1]:PORT`. */
export function hostPort(text: string): HostPort {
  const [, name, number] = text.match(/^(\[[^\]]*\]|[^:]*):(\d+)$/) ?? [];
  if (name === undefined || number === undefined) throw new Error("is not HOST:PORT");
  return { host: host(name), port: port(number) };
}

/** Ports that browsers do not connect to (Fetch standard, "port blocking"), for they are other protocols'. */
const BLOCKED_PORTS: ReadonlySet<number> = new Set(
  (
    "1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 " +
    "117 119 123 135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 " +
    "587 601 636 989 990 993 995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 " +
    "6668 6669 6679 6697 10080"
  ).split(" ").map(Number),
);

/** Where browsers are to connect to. */
export function webAddress(text: string): HostPort | "none" {
  if (text === "none") return text;
  const address = hostPort(text);
  if (BLOCKED_PORTS.has(address.port)) {
    throw new Error("names a port that browsers refuse to connect to; 8080 is one that they do not");
  }
  return address;
}

/** Origins of pages with commas between, as browsers send them: `https://chat.example,http://localhost:3000`. */
export function origins(text: string): string[] {
  return text.split(",").map((part) => {
    const origin = part.trim();
    if (!URL.canParse(origin) || new URL(origin).origin !== origin || !/^https?:/.test(origin)) {
      throw new Error("is not a list of origins such as https://chat.example");
    }
    return origin;
  });
}

/** A range of addresses, in the terms of node:net's BlockList.addSubnet. */
export interface AddressRange {
  /** An IP address in the range. */
  address: string;
  /** Its leading bits that all addresses of the range have in common. */
  prefixLength: number;
  /** Which kind of address. */
  family: "ipv4" | "ipv6";
}

/** IP addresses and ranges with commas between: `127.0.0.1,10.0.0.0/8,::1`; none of an empty text. */
export function addressRanges(text: string): AddressRange[] {
  if (text === "none") return [];
  return text.split(",").map((part) => {
    const [address = "", prefix, ...rest] = part.trim().split("/");
    const version = isIP(address);
    const bits = version === 6 ? 128 : 32;
    const prefixLength = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : NaN;
    if (version === 0 || !(prefixLength <= bits) || rest.length > 0) {
      throw new Error("is not a list of IP addresses and ranges such as 127.0.0.1,10.0.0.0/8");
    }
    return { address, prefixLength, family: version === 6 ? "ipv6" : "ipv4" };
  });
}

/** The URL of a MySQL or MariaDB database. */
export function mysqlUrl(text: string): string {
  parseMysqlUrl(text);
  return text;
}

/** The URL of a Redis. */
export function redisUrl(text: string): string {
  parseRedisUrl(text);
  return text;
}

/** The name of a node: it goes into Redis keys and log lines. */
export function nodeName(text: string): string {
  if (!/^[\w.-]{1,64}$/.test(text)) {
    throw new Error("is not 1 to 64 letters, digits, dots, dashes or underscores");
  }
  return text;
}

/** Where people open the page: `https://chat.example/`. */
export function pageAddress(text: string): string {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol) || url.hash !== "" || text.endsWith("#")) {
    throw new Error("is not the address of a page, as in https://chat.example/");
  }
  return url.href;
}

/** One line of at most `max` characters. */
export function shortText(max: number): ParseValue<string> {
  return (text) => {
    if (text.trim() === "" || [...text].length > max || /\p{Cc}/u.test(text)) {
      throw new Error(`is not one line of 1 to ${max} characters`);
    }
    return text;
  };
}
