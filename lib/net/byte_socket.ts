/**
 * A client's byte stream as connections see it, whatever it runs through: TCP, a PROXY header before it, TLS over it.
 *
 * @module
 */

/** Two directions of bytes that end separately; every `Deno.Conn` is one. */
export interface ByteSocket {
  /** Reads into `buffer`; resolves with how many bytes, or null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Resolves with how many of the bytes the operating system has taken. */
  write(bytes: Uint8Array): Promise<number>;
  /** Nothing more will be written; the peer may still send. */
  closeWrite(): Promise<void>;
  /** Frees the socket at once, whatever is under way. To be called once. */
  close(): void;
}

/** Writes all of `bytes`. */
export async function writeAll(socket: ByteSocket, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.length;) {
    offset += await socket.write(offset === 0 ? bytes : bytes.subarray(offset));
  }
}

/** `socket` as it was before `head` had been read from it. */
export function unread(socket: ByteSocket, head: Uint8Array): ByteSocket {
  let rest = head;
  return {
    read(buffer) {
      if (rest.length === 0) return socket.read(buffer);
      const count = Math.min(rest.length, buffer.length);
      buffer.set(rest.subarray(0, count));
      rest = rest.subarray(count);
      return Promise.resolve(count);
    },
    write: (bytes) => socket.write(bytes),
    closeWrite: () => socket.closeWrite(),
    close: () => socket.close(),
  };
}
