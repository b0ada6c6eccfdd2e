/**
 * What a connection goes through before its first frame: a PROXY header where one is due, then the TLS handshake.
 *
 * @module
 */
import type { ByteSocket } from "./byte_socket.ts";
import { formatHostPort } from "../base/host_port.ts";
import { personAddress } from "./person_address.ts";
import type { Proxies } from "./proxies.ts";
import type { TlsServer } from "./tls.ts";

/** A connection that may speak, and whose it is. */
export interface Accepted {
  /** Bytes to and from the client. */
  socket: ByteSocket;
  /** "address:port" of the client. */
  remote: string;
  /** What limits by address go by; undefined: none does, the address is no person's. */
  person: string | undefined;
  /** Nobody stands between: the end of the connection is the client's own. */
  isDirect: boolean;
  /** Its frames are messages of a WebSocket. */
  isWebSocket: boolean;
}

/**
 * Makes a client's connection of an accepted socket; rejects to refuse it, and resolves with undefined when it has got what
 * it came for. The socket is then closed by the caller. As soon as it is known whose it is, and again when that turns out to
 * be another one, `locate` is told, and may throw to refuse it.
 */
export type Admit = (
  socket: Deno.TcpConn,
  locate: (person: string | undefined) => void,
) => Promise<Accepted | undefined>;

/** Options of {@link createAdmit}. */
export interface AdmitOptions {
  /** Peers whose connections begin with a PROXY header. */
  proxies: Proxies;
  /** Speaks TLS, behind the header if there is one. */
  tls?: TlsServer;
}

/** Puts together what the options ask for. */
export function createAdmit({ proxies, tls }: AdmitOptions): Admit {
  return async (tcp, locate) => {
    tcp.setNoDelay(true);
    tcp.setKeepAlive(true);
    const isProxy = proxies.trusts(tcp.remoteAddr.hostname);
    const isDirect = proxies.areKnown && !isProxy;
    const passed = isProxy ? await proxies.readHeader(tcp) : undefined;
    const { hostname, port } = passed?.source ?? tcp.remoteAddr;
    const [remote, person] = [formatHostPort(hostname, port), personAddress(hostname, proxies)];
    locate(person);
    const socket = passed?.socket ?? tcp;
    return { socket: tls ? await tls.accept(socket) : socket, remote, person, isDirect, isWebSocket: false };
  };
}
