/**
 * Answers of the port for browsers, from a request's head to bytes.
 *
 * @module
 */
import { HttpRefusal, listOf, type RequestHead } from "../net/http_head.ts";
import type { Asset, Assets } from "./assets.ts";

/** What is sent back. */
export interface Answer {
  /** Of HTTP. */
  status: number;
  /** By their names. */
  headers: Readonly<Record<string, string>>;
  /** What follows the headers; they may speak of one that was not asked for. */
  body: Uint8Array;
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  304: "Not Modified",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  413: "Content Too Large",
  414: "URI Too Long",
  426: "Upgrade Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  505: "HTTP Version Not Supported",
};

/** Of every answer: the page runs its own files and nothing else, talks to its own node, and stands in no frame. */
const STRICT: Readonly<Record<string, string>> = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
    "manifest-src 'self'",
    "worker-src 'self'",
    "require-trusted-types-for 'script'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

const NOTHING = new Uint8Array(0);
const encoder = new TextEncoder();

/** The answer to a request for a file. Throws an {@link HttpRefusal} when there is none. `isLast`: of its connection. */
export function answerFor(head: RequestHead, assets: Assets, isLast: boolean): Answer {
  const { method, path, query, headers } = head;
  const asset = assets.get(path);
  const [, version] = /^v=(\w+)$/.exec(query) ?? [];
  // Of another version of the page: the name would be kept for good with what it does not name.
  if (!asset || (version !== undefined && version !== asset.hash)) {
    throw new HttpRefusal(404, "There is no such file");
  }
  const common = {
    ...STRICT,
    "etag": `"${asset.hash}"`,
    "cache-control": version === undefined ? "no-cache" : "public, max-age=31536000, immutable",
    "vary": "accept-encoding",
    ...(isLast ? { "connection": "close" } : {}),
  };
  if (isKnown(headers.get("if-none-match"), asset)) return { status: 304, headers: common, body: NOTHING };
  const gzipped = takesGzip(headers.get("accept-encoding")) ? asset.gzipped : undefined;
  const body = gzipped ?? asset.bytes;
  return {
    status: 200,
    headers: {
      ...common,
      "content-type": asset.type,
      "content-length": String(body.length),
      ...(gzipped ? { "content-encoding": "gzip" } : {}),
    },
    body: method === "HEAD" ? NOTHING : body,
  };
}

/** A proxy that compresses makes the tag a weak one. */
function isKnown(tags: string | undefined, { hash }: Asset): boolean {
  return tags?.split(",").some((tag) => tag.trim().replace(/^W\//, "") === `"${hash}"`) ?? false;
}

function takesGzip(encodings: string | undefined): boolean {
  return listOf(encodings).some((encoding) =>
    /^gzip(;q=(1|0\.0*[1-9]).*)?$/.test(encoding.replace(/\s/g, ""))
  );
}

/** The answer to a request that cannot be met; the last one of its connection. */
export function refusalAnswer({ status, message, headers }: HttpRefusal): Answer {
  const body = encoder.encode(`${message}\n`);
  return {
    status,
    headers: {
      ...STRICT,
      "content-type": "text/plain; charset=utf-8",
      "content-length": String(body.length),
      "cache-control": "no-store",
      "connection": "close",
      ...headers,
    },
    body,
  };
}

/** The bytes of an answer's head. */
export function writeHead({ status, headers }: Answer): Uint8Array {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return encoder.encode(`HTTP/1.1 ${status} ${REASONS[status]}\r\n${lines.join("")}\r\n`);
}
