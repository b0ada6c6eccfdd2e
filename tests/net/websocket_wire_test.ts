import { assert, assertEquals } from "@std/assert";
import { WebSocketWire } from "../../lib/net/websocket_wire.ts";
import { WebSocketReader } from "../../lib/net/websocket_reader.ts";
import type { FramePart } from "../../lib/net/wire.ts";
import { type Random, randomFrom, testSeed } from "../support/random.ts";
import { frameBytes } from "../support/raw_web_socket.ts";

const unit = { permissions: "none" } as const;
const { seed } = testSeed();
const SPARE_BYTES = 4_096;

/** Frames of RFC 6455 as a server sends them. */
function parse(bytes: Uint8Array): { fin: boolean; opcode: number; payload: Uint8Array }[] {
  const frames = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length;) {
    const [first, second] = [view.getUint8(at), view.getUint8(at + 1)];
    assertEquals([first & 0x70, second & 0x80], [0, 0]);
    const size = second < 126 ? 0 : second === 126 ? 2 : 8;
    const length = size === 0
      ? second
      : size === 2
      ? view.getUint16(at + 2)
      : Number(view.getBigUint64(at + 2));
    assert(
      size === 0 || length > (size === 2 ? 125 : 65_535),
      "the length is written longer than it has to be",
    );
    const start = at + 2 + size;
    frames.push({ fin: first > 0x7f, opcode: first & 15, payload: bytes.slice(start, start + length) });
    at = start + length;
  }
  return frames;
}

function randomText(random: Random): string {
  const letter = random.pick(["a", "é", "中", "😀"]);
  return letter.repeat(random.pick([0, 1, 40, 124, 125, 126, 500, 1_300, 5_000, 30_000]));
}

Deno.test(
  `what is written is the frames that were to be, in parts and with pongs between (CHAT_TEST_SEED=${seed})`,
  unit,
  () => {
    const random = randomFrom(seed);
    for (let round = 0; round < 300; round++) {
      const wire = new WebSocketWire({ maxFrameBytes: 65_536 });
      const texts = Array.from(
        { length: 1 + random.below(6) },
        () => randomText(random) + randomText(random),
      );
      const queue: FramePart[] = texts.flatMap((text) => {
        const characters = [...text];
        const cut = random.below(characters.length + 1);
        if (random.chance(0.5)) return [{ frame: text, goesOn: false }];
        return [
          { frame: characters.slice(0, cut).join(""), goesOn: true },
          { frame: characters.slice(cut).join(""), goesOn: false },
        ];
      });
      let pongs = 0;
      const sent: Uint8Array[] = [];
      while (queue.length > 0) {
        if (random.chance(0.3)) {
          wire.push(frameBytes(9, "ping"));
          assertEquals(wire.next(), undefined);
          assert(wire.hasControl);
          pongs++;
        }
        // A copy: the buffer is used again.
        sent.push(wire.encode(queue.splice(0, 1 + random.below(4)), new Uint8Array(SPARE_BYTES)).slice());
        assertEquals(wire.hasControl, false);
      }
      wire.close("flood");
      sent.push(wire.encode([], new Uint8Array(SPARE_BYTES)).slice());
      wire.ping();
      assertEquals(wire.hasControl, false);

      const frames = sent.flatMap(parse);
      assertEquals(frames.filter(({ opcode }) => opcode === 10).length, pongs);
      const last = frames.pop();
      assertEquals([last?.opcode, last?.payload[0], last?.payload[1]], [8, 1008 >> 8, 1008 & 255]);
      const received: string[] = [];
      let message: number[] | undefined;
      for (const { fin, opcode, payload } of frames.filter(({ opcode }) => opcode < 8)) {
        assertEquals(opcode, message === undefined ? 1 : 0);
        message = [...message ?? [], ...payload];
        if (!fin) continue;
        received.push(new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(message)));
        message = undefined;
      }
      assertEquals([received, message], [texts, undefined]);
    }
  },
);

Deno.test(`what is read does not depend on where it is cut (CHAT_TEST_SEED=${seed})`, unit, () => {
  const random = randomFrom(seed + 1);
  const read = (reader: WebSocketReader, bytes: Uint8Array): string[] => {
    const found: string[] = [];
    reader.push(bytes);
    for (let incoming = reader.next(); incoming !== undefined; incoming = reader.next()) {
      found.push(
        incoming.opcode === 8 ? `8 ${incoming.code}` : `${incoming.opcode} ${incoming.payload.join()}`,
      );
    }
    return found;
  };
  for (let round = 0; round < 500; round++) {
    const parts: number[] = [];
    for (let count = random.below(8); count >= 0; count--) {
      const opcode = random.chance(0.5) ? 1 : random.pick([0, 9, 10, 8, random.below(16)]);
      const payload = "x".repeat(random.pick([0, 1, 3, 125, 126, 700]));
      parts.push(...frameBytes(opcode, payload, { fin: random.chance(0.8), masked: random.chance(0.98) }));
    }
    const bytes = Uint8Array.from(parts);
    const whole = new WebSocketReader(1_000);
    const expected = read(whole, bytes.slice());
    const pieces = new WebSocketReader(1_000);
    const found: string[] = [];
    for (let start = 0; start < bytes.length;) {
      const end = start + 1 + random.below(random.pick([1, 5, 300]));
      found.push(...read(pieces, bytes.slice(start, end)));
      start = end;
    }
    assertEquals([found, pieces.failure], [expected, whole.failure]);
  }
});
