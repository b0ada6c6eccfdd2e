/**
 * Where a node listens, and what an operator reads when it cannot.
 *
 * @module
 */
import { errorText, EXIT, FatalError } from "./errors.ts";

/** Listens for TCP connections. Throws a FatalError when that is not possible. */
export function listenTcp(hostname: string, port: number): Deno.TcpListener {
  try {
    return Deno.listen({ hostname, port });
  } catch (error) {
    throw listenError(formatHostPort(hostname, port), error);
  }
}

/** What to tell of an address that cannot be listened on. */
export function listenError(address: string, error: unknown): FatalError {
  if (error instanceof Deno.errors.AddrInUse || errorText(error).includes("EADDRINUSE")) {
    return new FatalError(EXIT.unavailable, `Cannot listen on ${address}: the address is in use`);
  }
  return new FatalError(EXIT.config, `Cannot listen on ${address}: ${errorText(error)}`, { cause: error });
}

/** "host:port", with an IPv6 address in brackets. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
