/**
 * Whether a request may become a WebSocket (RFC 6455, 4.2), and the answer that makes it one.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { HttpRefusal, listOf, type RequestHead } from "./http_head.ts";

/** What the RFC has everybody append to the key. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** The answer that switches protocols. Throws an {@link HttpRefusal} when the request does not ask for that as it should. */
export function acceptWebSocket({ method, headers }: RequestHead): string {
  const isAskedFor = method === "GET" && listOf(headers.get("upgrade")).includes("websocket") &&
    listOf(headers.get("connection")).includes("upgrade");
  const hint = { "upgrade": "websocket", "sec-websocket-version": "13" };
  if (!isAskedFor) throw new HttpRefusal(426, "Here is a WebSocket", hint);
  if (headers.get("sec-websocket-version") !== "13") throw new HttpRefusal(426, "Only version 13", hint);
  const key = headers.get("sec-websocket-key") ?? "";
  // 16 bytes in base64.
  if (!/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(key)) {
    throw new HttpRefusal(400, "The request's Sec-WebSocket-Key is malformed");
  }
  const accept = createHash("sha1").update(key + GUID).digest("base64");
  return "HTTP/1.1 101 Switching Protocols\r\n" +
    `upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`;
}

/**
 * Throws an {@link HttpRefusal} when a page of another site asks: a browser says in `Origin` whose page it is that asks. The
 * host has to be the one the request is for, or the origin one of `others`. Whoever says no origin is no browser, and could
 * say any.
 */
export function checkOrigin({ headers }: RequestHead, others: readonly string[], isTls: boolean): void {
  const origin = headers.get("origin");
  if (origin === undefined || others.includes(origin)) return;
  const [, scheme, host] = /^(https?):\/\/([^/]+)$/.exec(origin.toLowerCase()) ?? [];
  const own = headers.get("host")?.toLowerCase();
  // Before TLS that ends at a proxy, a page that came by https asks by http.
  const isOwn = host !== undefined && (scheme === "https" || !isTls) &&
    withoutDefaultPort(own, scheme) === host;
  if (!isOwn) throw new HttpRefusal(403, "A page of another site may not connect (--web-origin)");
}

/** An origin never names the port that goes without saying. */
function withoutDefaultPort(host: string | undefined, scheme: string | undefined): string | undefined {
  return host?.replace(scheme === "https" ? /:443$/ : /:80$/, "");
}
