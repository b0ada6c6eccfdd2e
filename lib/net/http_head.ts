/**
 * The head of an HTTP/1.1 request, as strictly as it may be read: whatever two readers could take differently is refused.
 * Knows no socket: bytes in, head out.
 *
 * @module
 */

/** Longest head, bytes: browsers send along whatever other programs of the same host have left with them as cookies. */
export const HEAD_MAX_BYTES = 16_384;

const TARGET_MAX = 2_048;
const HEADERS_MAX = 100;
const CR = 0x0d;
const LF = 0x0a;

/** What a client asks for. */
export interface RequestHead {
  /** Only of these two. */
  method: "GET" | "HEAD";
  /** As sent, without what follows `?`; begins with a slash. */
  path: string;
  /** Behind `?`; empty when there is none. */
  query: string;
  /** By their names in lower case; of one that comes several times, the values with commas between. */
  headers: ReadonlyMap<string, string>;
  /** The client goes on with this connection. */
  isKeptAlive: boolean;
  /** Bytes of it; what follows is not its. */
  length: number;
}

/** A request that is answered with nothing but a status. */
export class HttpRefusal extends Error {
  /** As it stands in stack traces. */
  override readonly name = "HttpRefusal";
  /** Of HTTP. */
  readonly status: number;
  /** What the answer has besides. */
  readonly headers: Readonly<Record<string, string>>;

  /** `message`: for the client and the log. */
  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

// deno-lint-ignore no-control-regex -- no header may hold them, but for the tab
const CONTROL = /[\0-\x08\x0a-\x1f\x7f]/;

const decoder = new TextDecoder("latin1");

/**
 * Reads the head at the start of `bytes`, of which `scanned` have been looked through before. Undefined: it is not all
 * there yet. Throws an {@link HttpRefusal}, as soon as no more bytes can help.
 */
export function parseRequestHead(bytes: Uint8Array, scanned: number = 0): RequestHead | undefined {
  const [first = CR] = bytes;
  // A client that speaks TLS, or another protocol, is not waited for.
  if (bytes.length > 0 && !(first >= 0x41 && first <= 0x5a)) throw bad("This port speaks HTTP");
  const end = headEnd(bytes, Math.max(0, scanned - 3));
  if (end === undefined) {
    if (bytes.length < HEAD_MAX_BYTES) return undefined;
    throw new HttpRefusal(431, "The request's head is too long");
  }
  const [requestLine = "", ...lines] = decoder.decode(bytes.subarray(0, end - 4)).split("\r\n");
  const { method, target, minor } = parseRequestLine(requestLine);
  const headers = parseHeaders(lines);
  if (!headers.has("host")) throw bad("The request names no host");
  // Nobody who asks for a page has something to tell; what would be read as the next request is not guessed at.
  if (headers.has("transfer-encoding") || Number(headers.get("content-length") ?? 0) !== 0) {
    throw new HttpRefusal(413, "The request has a body");
  }
  const [path = "", ...query] = target.split("?");
  const options = listOf(headers.get("connection"));
  return {
    method,
    path,
    query: query.join("?"),
    headers,
    isKeptAlive: minor === "1" && !options.includes("close"),
    length: end,
  };
}

/** The elements of a header that is a list, in lower case. */
export function listOf(value: string = ""): string[] {
  return value.split(",").map((part) => part.trim().toLowerCase()).filter((part) => part !== "");
}

function bad(message: string): HttpRefusal {
  return new HttpRefusal(400, message);
}

/** The index behind the empty line. */
function headEnd(bytes: Uint8Array, from: number): number | undefined {
  for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at - 1] === CR && bytes[at - 2] === LF && bytes[at - 3] === CR) return at + 1;
  }
  return undefined;
}

function parseRequestLine(line: string): { method: RequestHead["method"]; target: string; minor: string } {
  const [, method, target = "", major, minor = ""] = /^([A-Z]+) ([!-~]+) HTTP\/(\d)\.(\d)$/.exec(line) ?? [];
  if (method === undefined) throw bad("The request's first line is malformed");
  if (major !== "1") throw new HttpRefusal(505, "Only HTTP/1.1");
  if (method !== "GET" && method !== "HEAD") {
    throw new HttpRefusal(405, "Only GET and HEAD", { "allow": "GET, HEAD" });
  }
  if (target.length > TARGET_MAX) throw new HttpRefusal(414, "The request's target is too long");
  if (!target.startsWith("/")) throw bad("The request's target is no path");
  return { method, target, minor };
}

function parseHeaders(lines: readonly string[]): Map<string, string> {
  if (lines.length > HEADERS_MAX) throw new HttpRefusal(431, "The request has too many headers");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value = ""] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([^]*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined || CONTROL.test(value)) throw bad("A header of the request is malformed");
    const key = name.toLowerCase();
    const before = headers.get(key);
    if (before !== undefined && (key === "host" || key === "content-length" || key === "origin")) {
      throw bad(`The request has its header ${key} twice`);
    }
    headers.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}
