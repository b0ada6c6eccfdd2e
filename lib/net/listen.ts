/**
 * Where a node listens, and what an operator reads when it cannot.
 *
 * @module
 */
import { errorText, EXIT, FatalError } from "../base/errors.ts";
import { formatHostPort } from "../base/host_port.ts";

/**
 * What accept fails with when the machine has no more to give: some will be closed, so a pause helps. With anything else it
 * speaks of one connection, one that was reset before it was accepted, for example.
 */
const SHORTAGES: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"]);

/** Whether an accept failed for want of something that will come back. */
export function isShortage(error: unknown): boolean {
  return error instanceof Error && "code" in error && SHORTAGES.has(error.code);
}

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
