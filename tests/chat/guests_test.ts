import { assertEquals } from "@std/assert";
import { type Guest, Guests } from "../../lib/chat/guests.ts";

const unit = { permissions: "none" } as const;

/** Guests by name, and who of them was sent away. */
class Party {
  readonly sentAway: string[] = [];
  readonly guests: Guests;

  constructor(maxAnonymous: number, maxAnonymousPerAddress = maxAnonymous) {
    this.guests = new Guests({ maxAnonymous, maxAnonymousPerAddress });
  }

  guest(name: string, { person, isBusy = false }: { person?: string; isBusy?: boolean } = {}): Guest {
    return { person, heard: 0, isBusy: () => isBusy, end: () => this.sentAway.push(name) };
  }

  enter(name: string, options?: { person?: string; isBusy?: boolean }): Guest {
    const guest = this.guest(name, options);
    assertEquals(this.guests.enter(guest), true, name);
    return guest;
  }
}

Deno.test("the guest that has been silent for longest makes room", unit, () => {
  const party = new Party(3);
  const a = party.enter("a");
  party.enter("b");
  party.enter("c");
  a.heard++;
  party.enter("d");
  party.enter("e");
  assertEquals(party.sentAway, ["b", "c"]);
  party.enter("f");
  // Since it spoke, a has been silent while d and e were there.
  assertEquals(party.sentAway, ["b", "c", "a"]);
  assertEquals([party.guests.size, party.guests.crowdedOut], [3, 3]);
});

Deno.test("guests who all have something to say go by their age", unit, () => {
  const party = new Party(200);
  const there = Array.from({ length: 200 }, (_, index) => party.enter(`${index}`));
  for (let round = 0; round < 3; round++) {
    for (const guest of there) guest.heard++;
    party.enter("new");
  }
  assertEquals(party.guests.size, 200);
  assertEquals(party.sentAway.length, 3);
});

Deno.test("whose request is under way does not make room", unit, () => {
  const party = new Party(2);
  party.enter("a", { isBusy: true });
  party.enter("b", { isBusy: true });
  assertEquals(party.guests.enter(party.guest("c")), false);
  assertEquals(party.guests.makeRoom(), false);
  assertEquals([party.sentAway, party.guests.size], [[], 2]);
});

Deno.test("an address has a share, and takes from nobody else's", unit, () => {
  const party = new Party(10, 2);
  party.enter("other", { person: "192.0.2.1" });
  party.enter("nobody's");
  for (let i = 1; i <= 5; i++) party.enter(`${i}`, { person: "198.51.100.1" });
  assertEquals(party.sentAway, ["1", "2", "3"]);
  for (let i = 1; i <= 5; i++) party.enter(`nobody's ${i}`);
  assertEquals(party.sentAway, ["1", "2", "3"]);
});

Deno.test("who was logged in has a place again, as one who has just come", unit, () => {
  const party = new Party(2);
  const a = party.enter("a");
  party.guests.leave(a);
  party.enter("b");
  party.enter("c");
  party.guests.comeBack(a);
  assertEquals(party.sentAway, ["b"]);
  party.enter("d");
  assertEquals(party.sentAway, ["b", "c"]);
});

Deno.test("a connection whose address is told later counts from then on", unit, () => {
  const party = new Party(10, 1);
  const first = party.enter("first");
  const second = party.enter("second");
  assertEquals(party.guests.locate(first, "192.0.2.1"), true);
  assertEquals(party.guests.locate(second, "192.0.2.1"), true);
  assertEquals(party.sentAway, ["first"]);
  party.guests.leave(second);
  assertEquals(party.guests.size, 0);
});
